"""A sending KX-21 for the tests, written from the columns; the first is the constructed vector of 121 characters."""

from collections.abc import Mapping
from typing import Any, cast

from drivers import catalog
from drivers.contract import Output, StreamDriver
from drivers.observation import Result

ACK, NAK = b"\x06", b"\x15"
VECTOR = (
    b"\x02D1U2601010000000000042000000S00720043100128003850089300297003320023100312000840060400022000060"
    b"00440042100124001010*0000\x03"
)
NAMES = [
    *("WBC", "RBC", "HGB", "HCT", "MCV", "MCH", "MCHC", "PLT", "LYM%", "MXD%", "NEUT%", "LYM#", "MXD#", "NEUT#"),
    *("RDW", "PDW", "MPV", "P-LCR"),
]
CELLS = [VECTOR[30:-1].decode()[at : at + 5] for at in range(0, 90, 5)]
HEAD, HEAD_N = "D1U2601010000000000042000000S", "D1U2026010100000000000000420000000"
CELLS_N = [*CELLS[:15], "01240", *CELLS[15:]]
CONTROL = "D1C00" + "26010100" + "0072" * 20


def frame(cells: list[str], head: str = HEAD) -> bytes:
    """STX, header, values, ETX."""
    return b"\x02" + (head + "".join(cells)).encode("latin-1") + b"\x03"


def changed(**cells: str) -> bytes:
    """The vector with other values; LYM and NEUT stand for their percentages."""
    return frame([cells.get(name.rstrip("%"), cell) for name, cell in zip(NAMES, CELLS, strict=True)])


def make(profile: str = "kx_21", **options: Any) -> StreamDriver:
    """A started driver."""
    chosen: Mapping[str, Any] = options
    driver = cast(StreamDriver, catalog.create(catalog.profile("sysmex_kx", profile), chosen))
    driver.start(0.0)
    return driver


def results(*outputs: Output) -> dict[str, Result]:
    """The results by parameter."""
    return {seen.test: seen for output in outputs for seen in output.observations if isinstance(seen, Result)}


def reasons(*outputs: Output) -> list[str]:
    """The faults, by reason."""
    return [fault.reason for output in outputs for fault in output.faults]
