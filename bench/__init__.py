"""Benchmarks of the pipeline and its engines next to other systems, measured in turn on the same machine."""
