"""The code table: our stable metric names to IEEE 11073-10101 codes, UCUM units, labels and plausible ranges.

`nomenclature.toml` is generated from a table whose every row names its source (tools/nomenclature_toml.py).
"""

from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
import tomli
from msgspec import Struct


class Term(Struct, frozen=True, kw_only=True):
    """One row of the table. `mdc` is empty and `code` 0 where no source confirms them."""

    kind: Literal["numeric", "enumeration", "waveform", "alert", "setting", "result"]
    mdc: str = ""
    code: int = 0
    ucum: str = ""
    unit_code: int = 0
    loinc: str = ""
    low: Decimal | None = None
    high: Decimal | None = None
    en: str
    fr: str
    confidence: int = 0
    source: str = ""
    source2: str = ""
    loinc_source: str = ""


@cache
def terms() -> dict[str, Term]:
    """The whole table by name."""
    text = (Path(__file__).parent / "nomenclature.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomli.loads(text, parse_float=Decimal), dict[str, Term])
