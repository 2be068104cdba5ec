"""The journal: machine-readable events, and sentences for a person said once until they change.

One JSON object a line on standard error: control characters that a device or a peer put into a field come out
escaped, so that no line can be forged. Nothing a device said is ever a key, and no patient field is ever passed.
"""

import sys
from typing import Any, TextIO

import structlog

from gateway.errors import JisrError


class Journal:
    """Events by name with facts; `say()` keeps quiet while the sentence about a subject stays the same."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._log = structlog.wrap_logger(
            structlog.PrintLogger(stream or sys.stderr),
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.ExceptionRenderer(),
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
        self._said: dict[str, str] = {}

    def event(self, name: str, **facts: Any) -> None:
        """One event, always written."""
        self._log.msg(name, **facts)

    def say(self, error: JisrError, subject: str = "") -> None:
        """A sentence about `subject`, unless it was the last one said about it."""
        text = error.text()
        if self._said.get(subject) == text:
            return
        self._said[subject] = text
        self._log.msg("say", subject=subject, kind=type(error).__name__, sentence=text)

    def settle(self, subject: str) -> None:
        """What was wrong with `subject` is over: the same sentence may be said again when it comes back."""
        if self._said.pop(subject, None):
            self._log.msg("settled", subject=subject)
