"""Checks and headers around every request."""
