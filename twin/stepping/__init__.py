"""Who is stepped when: all together, and who takes long by himself."""
