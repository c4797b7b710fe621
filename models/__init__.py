"""Pure models: laws, operators and time-steppers on batches of components."""
