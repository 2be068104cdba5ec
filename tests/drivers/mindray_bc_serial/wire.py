"""A sending BC-3000 Plus for the tests, written from the manual's columns."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from drivers import catalog
from drivers.contract import Output, StreamDriver
from drivers.observation import Result

ENQ, ACK, NAK, ETX = b"\x05", b"\x06", b"\x15", b"\x03"
NAMES = [
    *("WBC", "Lymph#", "Mid#", "Gran#", "Lymph%", "Mid%", "Gran%", "RBC", "HGB"),
    *(
        "MCHC",
        "MCV",
        "MCH",
        "RDW-CV",
        "HCT",
        "PLT",
        "MPV",
        "PDW",
        "PCT",
    ),
]
VALUES = [
    *("0072", "0022", "0006", "0044", "301", "084", "615", "431", "128"),
    *(
        "0332",
        "0893",
        "0297",
        "124",
        "385",
        "0231",
        "100",
        "110",
        "231",
    ),
]
POINTS = [
    *("007.2", "002.2", "000.6", "004.4", "30.1", "08.4", "61.5", "4.31", "128"),
    *(
        "0332",
        "089.3",
        "029.7",
        "12.4",
        "38.5",
        "0231",
        "10.0",
        "11.0",
        ".231",
    ),
]
REST = "000" * 8 + "012" * 64


def body(
    specimen: str = "0000000113",
    values: Iterable[str] = VALUES,
    *,
    letter: str = "A",
    when: str = "01012026080000",
    rest: str = REST,
) -> bytes:
    """Header, time, columns, and what comes after them."""
    head = f"{letter}01{len(specimen):03d}01803{specimen}0{when}"
    return (head + "".join(values) + rest).encode("latin-1")


def alone(text: bytes) -> bytes:
    """Without handshake."""
    return b"\x02" + text + b"\x1a"


def asked(text: bytes) -> bytes:
    """What follows the ACK of an ENQ."""
    return text + b"\x1a\x04\x03"


def changed(**columns: str) -> list[str]:
    """The columns of a sample, some of them others; `Lymph` and `Mid` stand for their counts."""
    return [columns.get(name.rstrip("#"), text) for name, text in zip(NAMES, VALUES, strict=True)]


def make(profile: str = "bc_3000_plus", options: Mapping[str, Any] | None = None) -> StreamDriver:
    """A started driver."""
    driver = cast(StreamDriver, catalog.create(catalog.profile("mindray_bc_serial", profile), options))
    driver.start(0.0)
    return driver


def results(*outputs: Output) -> dict[str, Result]:
    """The results by parameter."""
    return {seen.test: seen for output in outputs for seen in output.observations if isinstance(seen, Result)}


def reasons(*outputs: Output) -> list[str]:
    """The faults, by reason."""
    return [fault.reason for output in outputs for fault in output.faults]
