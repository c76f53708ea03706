"""Identity: users, passwords, sessions, links in e-mails, forms, throttles."""
