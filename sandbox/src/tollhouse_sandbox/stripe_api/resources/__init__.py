"""Stripe's resources, one module each; `routes.py` lists what they answer to."""
