"""Customers: sign-up, the product's own ids, projects, keys."""
