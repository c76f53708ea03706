"""What to tell whom, and by which channel."""
