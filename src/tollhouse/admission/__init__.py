"""The decision: lanes that batch, save and replay; holds, leases, refunds; tools' sessions; refusals counted."""
