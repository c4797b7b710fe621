"""How far beliefs can be trusted."""
