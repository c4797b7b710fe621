"""Cracks read from photographs: the reader, its network, and the scenes that it learned from."""
