"""How a command comes to its configuration."""

import os
from pathlib import Path

from tollhouse.catalog import Configuration, load_configuration
from tollhouse.cli.output import warn
from tollhouse.settings import Purpose


def dotenv_beside(path: Path) -> Path:
    """The `.env` that development reads: the one beside the configuration file."""
    return path.parent / ".env"


def configuration(path: Path, purpose: Purpose) -> Configuration:
    """Settings and catalogue from the file and this process's environment; warnings go to stderr.

    Raises ConfigurationProblems with everything that is wrong.
    """
    found = load_configuration(path, os.environ, purpose=purpose, dotenv=dotenv_beside(path))
    for problem in found.warnings:
        warn(problem)
    return found
