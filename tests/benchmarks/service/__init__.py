"""Benchmarks of the service: ingest, stepping, restarts, queries, memory."""
