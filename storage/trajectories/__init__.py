"""The trajectories: record rows of every component, as Zarr groups."""
