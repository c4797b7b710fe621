"""The stress-intensity operator: a network that answers what the finite elements answer."""
