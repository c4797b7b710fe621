"""The command line: each command, and what a person sees of it."""
