"""Text prepared for speech."""
