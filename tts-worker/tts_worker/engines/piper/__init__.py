"""The Piper engine, its voices and their download."""
