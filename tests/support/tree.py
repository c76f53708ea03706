"""The project's own files, for tests that read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "sdk", "sandbox", "tests", "bench", "scripts", "docs", "deploy", "requirements")


def files(*suffixes: str) -> Iterator[Path]:
    """Every file of the project whose name ends in one of the suffixes, caches left out."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            hidden = any(part.startswith(".") or part in ("__pycache__", "node_modules") for part in path.parts)
            if path.is_file() and path.suffix in suffixes and not hidden:
                yield path


def name(path: Path) -> str:
    """The path as a reader of the repository knows it."""
    return path.relative_to(ROOT).as_posix()
