"""MRR, churn, conversion and usage, kept up to date from facts."""
