"""What Stripe does with money: payments, invoices, subscriptions and their renewals, apart from any HTTP."""
