"""Subscriptions, payments and invoices as Stripe says they are."""
