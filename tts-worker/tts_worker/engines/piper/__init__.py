"""The Piper engine."""
