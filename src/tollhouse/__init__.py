"""The back office of an AI product in one Python process and one database."""

__version__ = "0.1.0"
