"""Benchmarks of the reader of photographs."""
