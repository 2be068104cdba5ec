"""A sending device for the tests, written from the standard's text: frames, sessions, and what is said to them."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from drivers import catalog
from drivers.contract import Output, StreamDriver
from drivers.observation import Result

ENQ, EOT, ACK, NAK = b"\x05", b"\x04", b"\x06", b"\x15"
HEADER = "H|\\^&|||GW-TEST^1.0|||||||P|1|20260101080000"
ORDER = "O|1|S0001||^^^GLU|R"
GLUCOSE = "R|1|^^^GLU|5.5|mmol/L|4.0 to 6.0|N||F||OP1|20260101075500|20260101075800"
END = "L|1|N"


def frame(number: int, text: str | bytes, end: bytes = b"\x03") -> bytes:
    """STX FN text ETX C1 C2 CR LF."""
    raw = text.encode("latin-1") if isinstance(text, str) else text
    body = b"%d" % (number % 8) + raw + end
    return b"\x02" + body + b"%02X" % (sum(body) % 256) + b"\r\n"


def message(*records: str) -> str:
    """Records, each ended by CR."""
    return "".join(f"{record}\r" for record in records)


def whole(*records: str) -> bytes:
    """A session with all records in one frame."""
    return ENQ + frame(1, message(*records)) + EOT


def one_each(*records: str) -> list[bytes]:
    """A session with one record in each frame, cut where the device waits for an answer."""
    return [ENQ, *(frame(number, f"{record}\r") for number, record in enumerate(records, 1)), EOT]


def make(profile: str = "erba_xl", options: Mapping[str, Any] | None = None) -> StreamDriver:
    """A started driver."""
    driver = cast(StreamDriver, catalog.create(catalog.profile("astm", profile), options))
    driver.start(0.0)
    return driver


def feed(driver: StreamDriver, pieces: Iterable[bytes], now: float = 1.0) -> list[Output]:
    """What the driver says to each piece."""
    return [driver.receive(piece, now) for piece in pieces]


def results_of(outputs: Iterable[Output]) -> list[Result]:
    """The results, without the device's own observations."""
    return [seen for output in outputs for seen in output.observations if isinstance(seen, Result)]


def whole_of(outputs: Iterable[Output]) -> list[Result]:
    """The results of whole messages; those of partial ones are kept raw."""
    return [seen for seen in results_of(outputs) if seen.reason != "partial"]


def reasons(outputs: Iterable[Output]) -> list[str]:
    """The faults, by reason."""
    return [fault.reason for output in outputs for fault in output.faults]


def read(*records: str, profile: str = "erba_xl", options: Mapping[str, Any] | None = None) -> list[Result]:
    """The results of one undamaged session."""
    return results_of(feed(make(profile, options), [whole(*records)]))
