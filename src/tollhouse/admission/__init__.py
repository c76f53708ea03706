"""Lanes that decide in memory and save by compare-and-set; holds and leases."""
