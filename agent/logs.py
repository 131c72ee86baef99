"""ADAPTER. Structured logs: one JSON object a line on standard error, for journald. Repeated warnings are rare.

Keys that lines carry: `event` (what happened, stable), `level`, `time` (UTC), `site`, `box`, and the values at hand.
"""

import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

from agent.repeats import Repeats

Line = MutableMapping[str, Any]

LIMITED = ("warning", "error", "critical")
"""Levels that repeat in an outage. What changes is told as information, each time."""

Logger = structlog.typing.FilteringBoundLogger


def limiter(repeats: Repeats) -> structlog.typing.Processor:
    """Holds repeated lines back; lines are the same when event, level and `about` are."""

    def limit(_: object, method: str, line: Line) -> Line:
        if method in LIMITED:
            held_back = repeats.let_through((method, line.get("event"), line.get("about")), time.monotonic())
            if held_back is None:
                raise structlog.DropEvent
            if held_back:
                line["held_back"] = held_back
        return line

    return limit


def set_up(stream: TextIO | None = None, repeats: Repeats | None = None) -> Logger:
    """Configure structlog for this process and return the root logger."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            limiter(repeats or Repeats()),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=stream or sys.stderr, format="%(message)s", force=True)
    return logger()


def logger(**values: object) -> Logger:
    """A logger that adds `values` to each line."""
    return cast(Logger, structlog.get_logger(**values))
