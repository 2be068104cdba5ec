"""TOML that cannot be read: one problem, at its line, in words that help a person who has never heard of TOML."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import tomli

from gateway.config.problem import Problem, Sentence, say, shown
from gateway.language import N_

NOT_TOML = N_("{words} (column {column})")
TOO_LONG = N_("a number with too many digits")
TOO_DEEP = N_("lists or tables inside one another, too many levels deep")
QUOTED = N_("text stands between quotation marks: {line}")
ONE_VALUE = N_("key = value, with text between quotation marks, on one line")
TWICE = N_("A table that is there already")
ONCE = N_("each key once, and each table once")

MESSAGES = (
    N_("Invalid statement"),
    N_("Expected newline or end of document after a statement"),
    N_("Cannot overwrite a value"),
    N_("Expected ']' at the end of a table declaration"),
    N_("Expected ']]' at the end of an array declaration"),
    N_("Expected '=' after a key in a key/value pair"),
    N_("Invalid initial character for a key part"),
    N_("Unclosed array"),
    N_("Unclosed inline table"),
    N_("Unescaped '\\' in a string"),
    N_("Invalid hex value"),
    N_("Unterminated string"),
    N_("Invalid date or datetime"),
    N_("Invalid value"),
)
"""What tomli says, so that it can be said in French; the few sentences with a fact inside stay English."""

_TWICE = re.compile(r"Cannot (declare|mutate immutable namespace|redefine namespace) \(.*\)( twice)?")
_BARE = re.compile(r"\s*(?P<key>[A-Za-z0-9_-]+)\s*=\s*(?P<value>[^\s\"'\[{#][^#\"']*?)\s*(?:#.*)?")


def parse_toml(text: str, file: str) -> dict[str, Any] | Problem:
    """The document, or the one problem that keeps it from being read."""
    try:
        return tomli.loads(text, parse_float=_number)
    except tomli.TOMLDecodeError as error:
        at = error.lineno
        line = text.split("\n")[at - 1] if at else ""
        words = TWICE if _TWICE.fullmatch(error.msg) else error.msg
        found = say(NOT_TOML, words=say(words), column=error.colno)
        return Problem.of(file, at, found, _hint(error.msg, line))
    except RecursionError:
        return Problem.of(file, _deepest(text), say(TOO_DEEP), say(ONE_VALUE))
    except ValueError:
        return Problem.of(file, _longest(text), say(TOO_LONG), say(ONE_VALUE))


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error


def _hint(message: str, line: str) -> Sentence:
    if message.startswith(("Cannot", "Duplicate")):
        return say(ONCE)
    bare = _BARE.fullmatch(line)
    if bare and bare["value"] not in ("true", "false"):
        return say(QUOTED, line=f"{bare['key']} = {shown(bare['value'])}")
    return say(ONE_VALUE)


def _longest(text: str) -> int:
    """The line with the longest run of digits: Python reads no more than 4,300."""
    runs = re.finditer(r"[0-9][0-9_]{16,}", text)
    longest = max(runs, key=lambda run: len(run.group()), default=None)
    return text.count("\n", 0, longest.start()) + 1 if longest else 1


def _deepest(text: str) -> int:
    """The line on which most brackets open."""
    lines = text.split("\n")
    return max(range(len(lines)), key=lambda at: lines[at].count("[") + lines[at].count("{")) + 1
