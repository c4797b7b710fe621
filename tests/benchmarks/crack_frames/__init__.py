"""Benchmarks of the crack library and of the networks that learn from it."""
