"""The JSON entrance."""
