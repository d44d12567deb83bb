"""LLM worker: the stage that answers a transcript with a language model."""
