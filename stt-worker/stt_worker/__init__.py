"""STT worker: the stage that turns speech into text."""
