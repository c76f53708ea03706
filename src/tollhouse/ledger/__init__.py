"""Accounts and entries: what every customer has, and the book that proves it.

`rules.py`, `turning.py`, `granting.py` and `returning.py` are pure; `book.py` writes one locked account; `actions.py`
is what other rooms call.
"""
