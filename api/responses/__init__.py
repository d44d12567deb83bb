"""Response bodies of the native HTTP API."""
