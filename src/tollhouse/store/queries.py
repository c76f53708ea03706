"""The store's statements that belong to no table."""

from tollhouse.store.sql import Sql

PING = Sql("select 1 as one")
