"""Structured logs: one JSON line for each event, on standard error."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(*, pretty: bool = False, level: int = logging.INFO) -> None:
    """Set up structlog for the process; `pretty` for a person at a terminal."""
    renderer = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
