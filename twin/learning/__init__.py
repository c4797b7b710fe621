"""Libraries, training and evaluation, offline."""
