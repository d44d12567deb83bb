"""Preparation of text for speech synthesis."""
