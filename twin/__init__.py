"""The hall: composes the rooms, runs the event loop, serves HTTP and metrics."""
