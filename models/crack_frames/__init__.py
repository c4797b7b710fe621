"""A growing crack as frames: its library, and the networks that learn from it."""
