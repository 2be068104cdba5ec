"""Results out of a text, by the layout that the laboratory has set on the analyzer and told here.

No unit, no time and no status is in the text. A test without a unit of the site has no value: its digits stand in the
text of the result.
"""

import re
from typing import Literal

from drivers.beckman_au.frames import Text
from drivers.beckman_au.options import Layout, Options, Span
from drivers.contract import Fault
from drivers.observation import Result, Vendor
from drivers.results import content_identity, judge, read_number, status_untold

RESULTS, CONTROLS = ("D ", "DH", "d ", "dH"), ("DQ",)
_CODE = re.compile(r"[0-9A-Za-z]+")
_BLOCK = re.compile(r"[0-9E]")


def _cut(text: str, span: Span) -> str:
    first, length = span
    return text[first : first + length]


def read_results(text: Text, options: Options) -> list[Result] | Fault:
    """All tests of a text of results or controls; a fault where it is not laid out as told."""
    is_control = text.kind in CONTROLS
    layout = options.control if is_control else options.result
    tests = text.text[layout.tests :]
    if not tests or len(tests) % layout.width or not _is_block(text, layout):
        return Fault("layout")
    found: list[Result] = []
    met: set[str] = set()
    for at in range(0, len(tests), layout.width):
        test = tests[at : at + layout.width]
        code = _cut(test, layout.code).strip()
        if not _CODE.fullmatch(code):
            return Fault("layout")
        purpose: Literal["patient", "qc"] = "qc" if is_control else "patient"
        found.append(_observe(text, layout, options, code, test, purpose, met))
    return found


def _is_block(text: Text, layout: Layout) -> bool:
    """Its number is one; and the last one, and only that, ends with ETX."""
    if layout.block < 0:
        return True
    number = text.text[layout.block : layout.block + 1]
    return _BLOCK.fullmatch(number) is not None and (text.is_last or number != "E")


def _observe(
    text: Text,
    layout: Layout,
    options: Options,
    code: str,
    test: str,
    purpose: Literal["patient", "qc"],
    met: set[str],
) -> Result:
    told = _cut(test, layout.value)
    marks = _marks(test, layout)
    number, unit = read_number(told), options.units.get(code, "")
    validity, reason = judge(number, marks, options.plain_marks, has_unit=bool(unit))
    sample = _cut(text.text, layout.sample).strip()
    return Result(
        vendor=Vendor(code, told),
        validity=validity,
        reason=reason,
        specimen=_cut(text.text, layout.specimen).strip(),
        test=code,
        value=None if validity == "not_available" else number.value,
        text=told,
        comparator=number.comparator,
        unit=unit,
        flags=marks,
        status=status_untold(validity, reason),
        vendor_status=text.kind.strip(),
        comments=(f"sample {sample}",) if sample else (),
        purpose=purpose,
        loinc=options.loinc.get(code, ""),
        identity=content_identity(f"{text.text}\r{code}", met),
    )


def _marks(test: str, layout: Layout) -> tuple[str, ...]:
    told = _cut(test, layout.marks)
    each = (told[at : at + layout.mark_width].strip() for at in range(0, len(told), layout.mark_width))
    return tuple(mark for mark in each if mark)
