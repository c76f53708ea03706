"""AI providers, realtime sessions, TURN, and the vault for provider keys."""
