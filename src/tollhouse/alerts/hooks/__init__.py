"""Webhooks out (X6): the product's own servers hear what happened, signed, retried for three days, replayable.

events.py      what is told, and how it is written
actions.py     endpoints: add, rotate, disable, enable, remove
spreading.py   from a fact of the outbox to a delivery for each endpoint
sending.py     one POST: to public addresses, in bounded time
delivering.py  each endpoint's deliveries, apart from every other's
"""
