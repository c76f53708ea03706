"""Ways to tell somebody something, one folder each."""
