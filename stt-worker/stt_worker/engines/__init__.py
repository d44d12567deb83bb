"""The speech recognition engines, each imported only when it is configured."""
