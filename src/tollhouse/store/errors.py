"""What a store can answer besides rows. The drivers' own errors never leave this room."""

from tollhouse.kernel.errors import Conflict, Unavailable


class Duplicate(Conflict):
    """A unique constraint refused the row; `fields["constraint"]` names it where the database does."""

    default_code = "duplicate"


class StoreFailure(Unavailable):
    """The statement could not be done now (deadlock, disk full, time-out); it changed nothing."""


class LockedByAnother(StoreFailure):
    """A row stayed locked by somebody else for longer than this connection waits."""


class ConnectionLost(StoreFailure):
    """The connection broke: whether the last statement took effect is unknown."""
