"""The `cascade` command: run the stack without Docker."""
