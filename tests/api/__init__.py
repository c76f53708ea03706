"""The HTTP contract, told as stories."""
