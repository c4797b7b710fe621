"""What comes in: judged, made durable, read from images."""
