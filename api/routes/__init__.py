"""The routes of the native HTTP API, by topic."""
