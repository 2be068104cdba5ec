"""TOML with exact numbers: `0.1` is a Decimal of one digit, never a binary float."""

from decimal import Decimal
from typing import Any

import tomli


def parse(text: str) -> dict[str, Any]:
    """The document. Raises `tomli.TOMLDecodeError`, which knows the line."""
    return tomli.loads(text.replace("\r\n", "\n"), parse_float=Decimal)
