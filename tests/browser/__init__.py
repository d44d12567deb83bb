"""The page, used in a browser."""
