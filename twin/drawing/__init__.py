"""Pictures for people: the crack, and the outline of its part."""
