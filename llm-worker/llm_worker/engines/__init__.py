"""Language model engines, each imported only if it is selected."""
