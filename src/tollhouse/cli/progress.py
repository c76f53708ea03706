"""Progress of long work, on stderr, where a person watches."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def customers_bar() -> AbstractContextManager[Callable[[int, int], None]]:
    """A bar that counts customers: call it with how many are done, and of how many."""
    return bar("customers")


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that counts `what`: call it with how many are done, and of how many (0: nobody knows yet)."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of or None)
