"""The Python client of Tollhouse."""
