"""Text to speech: the last stage."""
