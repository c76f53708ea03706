"""Stripe's HTTP API over the sandbox's store: one module per resource."""
