"""Progress of long work, on stderr, where a person watches."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def customers_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar that counts customers: call it with how many are done, and of how many."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("customers", total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)
