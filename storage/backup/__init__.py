"""A copy of a whole store, and the manifest of its files."""
