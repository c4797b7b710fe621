"""Benchmarks of cracks in plates."""
