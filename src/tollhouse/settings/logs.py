"""What is written down while it runs: lines on stderr, none with a secret in it, whoever writes them (row U14)."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog

from tollhouse.kernel.masking import hide, mask_text, mask_under
from tollhouse.settings.model import Settings
from tollhouse.settings.secret import Secret

LOGS_OWN = ("key", "event", "level", "timestamp", "environment")
"""What a log line says of itself; `key` is an alert's name there. Their texts are masked by form all the same."""


def configure_logging(settings: Settings) -> None:
    """Of a server: one JSON object a line, each with its environment; what libraries say as well."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    environment = settings.environment
    hide_secrets(settings)

    def with_environment(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        event["environment"] = environment
        return event

    _libraries(_Lines(environment))
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            with_environment,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            masked,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def log_to_stderr(level: int = logging.NOTSET) -> None:
    """Of a command: lines for the person at the terminal, from this level on; stdout is for the result."""
    _libraries(_Plain("%(levelname)s: %(message)s"))
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            masked,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def masked(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The line without secrets, however deep and under whatever name they stand."""
    return {name: mask_text(str(held)) if name in LOGS_OWN else mask_under(name, held) for name, held in event.items()}


def hide_secrets(settings: Settings) -> None:
    """Let every secret of these settings be known by its value, whatever its form."""
    hide(_values(settings))


def _values(held: object) -> Iterator[str]:
    if isinstance(held, Secret):
        value = held.reveal()
        # The address of a database or a mail server is no secret, the password in it is.
        yield (urlsplit(value).password or "") if "://" in value else value
    elif isinstance(held, msgspec.Struct):
        for field in held.__struct_fields__:
            yield from _values(getattr(held, field))
    elif isinstance(held, (tuple, list)):
        for one in held:
            yield from _values(one)


class _Plain(logging.Formatter):
    """A library's line and its traceback, masked as a whole."""

    def format(self, record: logging.LogRecord) -> str:
        return mask_text(super().format(record))


class _Lines(logging.Formatter):
    """The same as a JSON object."""

    def __init__(self, environment: str) -> None:
        super().__init__()
        self._environment = environment

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "event": mask_text(record.getMessage()),
            "logger": record.name,
            "level": record.levelname.lower(),
            "environment": self._environment,
        }
        if record.exc_info:
            line["exception"] = mask_text(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = mask_text(record.stack_info)
        return json.dumps(line)


class _Stderr(logging.StreamHandler[Any]):
    """Ours on the root logger, so that a second call replaces it."""


def _libraries(formatter: logging.Formatter) -> None:
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Stderr)]:
        root.removeHandler(old)
    handler = _Stderr(sys.stderr)
    handler.setFormatter(formatter)
    root.addHandler(handler)
