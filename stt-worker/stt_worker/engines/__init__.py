"""Speech recognition engines, each imported only if it is selected."""
