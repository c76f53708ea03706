"""The only place that imports the Stripe SDK."""
