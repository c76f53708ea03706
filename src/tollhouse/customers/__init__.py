"""Sign-up, members, projects, API keys, export and erasure."""
