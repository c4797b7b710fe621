"""Reference solutions for the geometries."""
