"""Networks that predict the next frame and do not know what the frames show."""
