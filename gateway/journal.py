"""The journal: machine-readable events, and sentences for a person said once until they change.

One JSON object a line on standard error: control characters that a device or a peer put into a field come out
escaped, so that no line can be forged. Nothing a device said is ever a key, and no patient field is ever passed.
(Not structlog: it costs an agent 6 MB of the 45 it may have, docs/decisions/0007.)
"""

import json
import re
import sys
import traceback
from typing import Any, TextIO

from gateway.clock import system_text
from gateway.errors import JisrError

_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What JSON lets through and a terminal or a reader of lines obeys; half of a surrogate pair cannot be written."""


class Journal:
    """Events by name with facts; `say()` keeps quiet while the sentence about a subject stays the same."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._said: dict[str, str] = {}

    def event(self, name: str, *, exc_info: BaseException | None = None, **facts: Any) -> None:
        """One event, always written; of an exception also where it came from."""
        if exc_info is not None:
            facts["exception"] = "".join(traceback.format_exception(exc_info))
        self._write(name, facts)

    def say(self, error: JisrError, subject: str = "") -> None:
        """A sentence about `subject`, unless it was the last one said about it."""
        text = error.text()
        if self._said.get(subject) == text:
            return
        self._said[subject] = text
        self._write("say", {"subject": subject, "kind": type(error).__name__, "sentence": text})

    def settle(self, subject: str) -> None:
        """What was wrong with `subject` is over: the same sentence may be said again when it comes back."""
        if self._said.pop(subject, None):
            self._write("settled", {"subject": subject})

    def _write(self, name: str, facts: dict[str, Any]) -> None:
        line = {**facts, "event": name, "timestamp": system_text()}
        text = json.dumps(line, ensure_ascii=False, default=str)
        self._stream.write(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")
        self._stream.flush()
