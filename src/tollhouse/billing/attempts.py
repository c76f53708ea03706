"""Payment attempts by user and by address: at most so many in a window, counted exactly in the database (row U13)."""

import msgspec

from tollhouse.billing import queries
from tollhouse.kernel.errors import TooManyAttempts
from tollhouse.store import Tx

_decode = msgspec.json.Decoder(list[int]).decode


async def count_attempt(tx: Tx, subjects: tuple[str, ...], most: int, window_ms: int, now: int) -> None:
    """Count one attempt for each subject. Raises TooManyAttempts, counting nothing, when any of them has none left."""
    kept: dict[str, list[int]] = {}
    for subject in sorted(set(subjects)):  # always in the same order, so that two attempts never wait for each other
        row = None
        while row is None:  # an old row may be forgotten between these two
            await tx.execute(queries.OPEN_ATTEMPTS, subject=subject, forget_at=now + window_ms)
            row = await tx.fetch_one(queries.LOCK_ATTEMPTS, subject=subject)
        kept[subject] = [at for at in _decode(row["times"]) if at > now - window_ms]
    full = [times for times in kept.values() if len(times) >= most]
    if full:
        wait_ms = max(times[-most] + window_ms - now for times in full)
        raise TooManyAttempts(
            f"more than {most} payment attempts in {window_ms // 60_000} minutes",
            code="too_many_payment_attempts",
            fix="wait, then try again",
            retry_after=-(-wait_ms // 1000),
        )
    for subject, times in kept.items():
        document = msgspec.json.encode([*times, now]).decode()
        await tx.execute(queries.SAVE_ATTEMPTS, subject=subject, times=document, forget_at=now + window_ms)


async def forget_old_attempts(tx: Tx, now: int) -> int:
    """Delete what lies outside every window. How many rows."""
    return await tx.execute(queries.FORGET_ATTEMPTS, now=now)
