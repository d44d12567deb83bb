"""Engines that call a language model's server."""
