"""Engines that ask a language model's server."""
