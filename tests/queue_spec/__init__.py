"""A model of the queue, held against the real one."""
