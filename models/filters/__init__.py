"""What is believed as many particles: draws, what evidence says of them, and what is told of them.

Knows of no crack and no microstructure: it has numbers on axis 1, a row for each component.
"""
