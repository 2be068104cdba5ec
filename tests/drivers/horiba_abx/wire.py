"""A sending Micros 60 for the tests, written from the form of the document and of public messages."""

from collections.abc import Mapping
from typing import Any, cast

from drivers import catalog
from drivers.contract import Output, StreamDriver
from drivers.observation import Result

VALUES = {
    **{
        "!": "007.2  ",
        "2": "04.31  ",
        "3": "012.8 l",
        "4": "038.5  ",
        "5": "089.3  ",
        "6": "029.7  ",
        "7": "033.2  ",
    },
    **{"8": "012.4  ", "@": "00231  ", "A": "010.0  ", "#": "030.1  ", "%": "008.4  ", "'": "061.5  "},
    **{'"': "002.2  ", "$": "000.6  ", "&": "004.4  "},
}
ABOUT = {"\xff": "RESULT  ", "q": "01/01/26 08h00mn00s", "u": "0000000000260113", "v": "DUPONT JEAN", "t": "M"}
TAIL = {"S": "       ", "P": "           G3", "\xfb": "DURAND", "\xfe": "V2.8 ", "\xfd": "4F1A"}
CURVE = bytes(range(32, 160))


def fields(**changes: str | None) -> dict[str, str]:
    """All fields of a sample; `changes` by identifier, None leaves one out."""
    found: dict[str, str | None] = {**ABOUT, **VALUES, **TAIL, **changes}
    return {name: text for name, text in found.items() if text is not None}


def body(content: Mapping[str, str], *, curves: bool = False) -> bytes:
    """Fields, each ended by CR."""
    text = b"".join(f"{name} {value}\r".encode("latin-1") for name, value in content.items())
    return text + (b"".join(bytes([name, 32]) + CURVE + b"\r" for name in b"WXY") if curves else b"")


def frame(text: bytes, *, count: bool = True) -> bytes:
    """STX, the count of characters if wanted, the text, ETX."""
    return b"\x02" + (b"%05d\r" % (len(text) + 6) if count else b"") + text + b"\x03"


def sample(**changes: str | None) -> bytes:
    """One whole frame."""
    return frame(body(fields(**changes), curves=True))


def make(profile: str = "micros_60", options: Mapping[str, Any] | None = None) -> StreamDriver:
    """A started driver."""
    driver = cast(StreamDriver, catalog.create(catalog.profile("horiba_abx", profile), options))
    driver.start(0.0)
    return driver


def hear(data: bytes, profile: str = "micros_60", options: Mapping[str, Any] | None = None) -> Output:
    """What a fresh driver makes of bytes."""
    return make(profile, options).receive(data, 1.0)


def results(output: Output) -> dict[str, Result]:
    """The results by code."""
    return {seen.test: seen for seen in output.observations if isinstance(seen, Result)}


def reasons(output: Output) -> list[str]:
    """The faults, by reason."""
    return [fault.reason for fault in output.faults]
