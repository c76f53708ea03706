"""What is sold and what limits it: meters, actions, plans and their versions, prices. Checked once, immutable."""
