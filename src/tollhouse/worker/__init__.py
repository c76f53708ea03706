"""Background work, inside serve or apart."""
