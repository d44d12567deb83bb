"""Speech synthesis engines, each imported only if it is selected."""
