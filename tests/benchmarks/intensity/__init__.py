"""Benchmarks of the stress-intensity operator."""
