"""A sending AU for the tests, in the layout that a public program reads from an AU5800."""

from functools import reduce
from operator import xor
from typing import Any, cast

from drivers import catalog
from drivers.contract import Output, StreamDriver
from drivers.observation import Result

ACK, NAK = b"\x06", b"\x15"
UNITS = {"012": "mmol/L", "013": "mmol/L", "014": "U/L"}


def frame(text: str, end: int = 3, *, bcc: bool = True) -> bytes:
    """STX, text, ETX or ETB, BCC."""
    body = text.encode("latin-1") + bytes([end])
    return b"\x02" + body + (bytes([reduce(xor, body)]) if bcc else b"")


def header(kind: str = "D ", block: str = "E", specimen: str = "2601000042", number: str = "0001") -> str:
    """What stands before the tests of a sample."""
    return f"{kind}  000101 {number}{specimen:>10}    {block}"


def one(code: str, value: str, marks: str = "") -> str:
    """One test of a sample."""
    return f"0{code}{value:>9}{marks:<8}"


def control(*tests: str) -> str:
    """A control; its tests have no character before the number."""
    return f"DQ  000201 0007{'':>10} 001E1 " + "".join(tests)


SAMPLE = header() + one("012", "5.50") + one("013", "140.2", "H ") + one("014", "23")


def make(**options: Any) -> StreamDriver:
    """A started driver."""
    told = {"protocol_class": "B", "units": UNITS, "plain_marks": ["H", "L"], **options}
    driver = cast(StreamDriver, catalog.create(catalog.profile("beckman_au"), told))
    driver.start(0.0)
    return driver


def results(*outputs: Output) -> dict[str, Result]:
    """The results by test number."""
    return {seen.test: seen for output in outputs for seen in output.observations if isinstance(seen, Result)}


def reasons(*outputs: Output) -> list[str]:
    """The faults, by reason."""
    return [fault.reason for output in outputs for fault in output.faults]
