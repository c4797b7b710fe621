"""What lasts: journal, trajectories, images, checkpoints, catalogue."""
