"""The user's pages."""
