"""A model of the queue, compared with the real one after each of its verbs."""
