"""Who signs in: users, credentials, sessions, OAuth, outside tokens."""
