"""TTS worker: the stage that turns text into speech."""
