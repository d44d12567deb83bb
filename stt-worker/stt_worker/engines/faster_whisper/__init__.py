"""The faster-whisper engine."""
