"""The pages of the sandbox: the payment page, the mail inbox, and what it shows of itself."""
