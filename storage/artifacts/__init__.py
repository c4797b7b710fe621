"""What is made offline: libraries, weights with their cards, and trainings that are under way."""
