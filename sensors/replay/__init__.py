"""Recordings of people's instruments, read from files as observations."""
