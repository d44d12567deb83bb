"""The built-in responder for demonstrations."""
