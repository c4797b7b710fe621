"""What is believed as many particles: draws, weights, and what evidence says of them.

Knows of no crack and no microstructure: it has numbers on axis 1, a row for each component.
"""
