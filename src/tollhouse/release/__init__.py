"""Environments, doctor, pipeline, drivers, checklist, journal, backup and rollback."""
