"""A sending VIDAS for the tests, written from the documents' form: frames, sessions, and what is said to them."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from drivers import catalog
from drivers.contract import Output, StreamDriver
from drivers.observation import Result

ENQ, EOT, ACK, NAK = b"\x05", b"\x04", b"\x06", b"\x15"
TSH = (
    "mtrsl|pi2602|pnDUPONT JEAN|pb01/01/1980|psM|soWARD|si|ci2602|rtTSH|rnTSH 3|tt12:40|td01/03/26|ql|"
    "qn0.80 uUI/ml|y3uUI/ml|qd1|ncvalid|idVIDAS01|snVN00001|m4OPERATOR|"
)
HCV = "mtrsl|pi2601|pnMARTIN|si|ci2601|rtHCV|rnAnti-HCV|tt12:34|td01/03/26|qlN\xe9gatif|qn0.06|idVIDAS01|"


def frame(text: str, cuts: Iterable[int] = (), *, line_end: bytes = b"", end: bytes = b"\r\n\x03") -> bytes:
    """STX, RS before each line, GS, the checksum, and what ends it."""
    raw, places = text.encode("latin-1"), [0, *cuts, len(text)]
    lines = [raw[first:last] for first, last in zip(places, places[1:], strict=False)]
    body = b"".join(b"\x1e" + line + line_end for line in lines) + b"\x1d"
    return b"\x02" + body + b"%02x" % (sum(body) % 256) + end


def make(options: Mapping[str, Any] | None = None) -> StreamDriver:
    """A started driver."""
    driver = cast(StreamDriver, catalog.create(catalog.profile("biomerieux_bci"), options))
    driver.start(0.0)
    return driver


def feed(driver: StreamDriver, pieces: Iterable[bytes], now: float = 1.0) -> list[Output]:
    """What the driver says to each piece."""
    return [driver.receive(piece, now) for piece in pieces]


def results_of(outputs: Iterable[Output]) -> list[Result]:
    """The results, without the device's own observations."""
    return [seen for output in outputs for seen in output.observations if isinstance(seen, Result)]


def reasons(outputs: Iterable[Output]) -> list[str]:
    """The faults, by reason."""
    return [fault.reason for output in outputs for fault in output.faults]


def read(text: str, options: Mapping[str, Any] | None = None) -> Result:
    """The result of one undamaged message."""
    (result,) = results_of(feed(make(options), [ENQ, frame(text), EOT]))
    return result
