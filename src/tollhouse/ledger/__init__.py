"""Accounts and entries; the pure rules that take, grant, settle, turn and expire."""
