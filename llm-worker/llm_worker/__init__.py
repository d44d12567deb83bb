"""The answer: the second stage."""
