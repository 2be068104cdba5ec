"""The observations of one frame in columns: what stands in the document, and within which bounds."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from drivers.observation import AnyObservation, ClockTrust, Mode, Numeric, SourceAuth, Waveform
from gateway.uplink.forms import Form

MOST_OBSERVATIONS = 1 << 12
MOST_SAMPLES = 1 << 16
MOST_TEXTS = 1 << 14
LONGEST_FACE = 128
FURTHEST = (1 << 62) - 1
"""Magnitude of a number in a column; its differences stay within 64 bits."""

_Texts = Annotated[list[str], Meta(max_length=MOST_TEXTS)]
_Faces = Annotated[list[Annotated[str, Meta(max_length=LONGEST_FACE)]], Meta(max_length=MOST_OBSERVATIONS)]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_UTC = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


class Source(Struct, frozen=True, array_like=True):
    """Where observations come from."""

    device: str
    place: str
    driver: str
    mode: Mode | None
    source_auth: SourceAuth | None


class Body(Struct, array_like=True):
    """Sources say their observations in batches: those of one moment. Whoever says the same again has a pattern.

    A stem is an observation without what its batch or a column says. A series is all of one stem from one source.
    """

    sources: Annotated[list[Source], Meta(max_length=MOST_OBSERVATIONS)]
    trusts: Annotated[list[ClockTrust | None], Meta(max_length=MOST_OBSERVATIONS)]
    """Without their `mono_s`; None where a moment has no clock."""
    stems: bytes
    """JSON array. Without batches it is simply all observations, whole."""
    patterns: bytes
    batches: bytes
    moments: bytes
    faces: _Faces
    """Device times with zeros for their digits."""
    face_numbers: bytes
    forms: Annotated[list[Form], Meta(max_length=MOST_OBSERVATIONS)]
    series: bytes
    shapes: bytes
    """Of waveforms: lengths, holes, marks."""
    texts: _Texts
    scatter: bytes
    """Last, because it is as good as random: the compression is told to leave it alone."""


def whole(stems: bytes) -> Body:
    """A body without batches: what does not fit the columns is told as it is."""
    return Body([], [], stems, b"", b"", b"", [], b"", [], b"", b"", [], b"")


def has_column(stem: AnyObservation) -> bool:
    """Whether a stem in a batch that has a moment leaves something to a column: value and text, or samples."""
    if isinstance(stem, Numeric):
        return stem.value is not None and stem.vendor is not None
    return isinstance(stem, Waveform)


def instant_of(text: str) -> int | None:
    """Milliseconds since 1970 of `YYYY-MM-DDTHH:MM:SS.mmmZ`; None for any other text."""
    if not _UTC.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment - _EPOCH) // _MS


def text_of_instant(ms: int) -> str | None:
    """The text of an instant between the years 1 and 9999, else None."""
    try:
        moment = _EPOCH + ms * _MS
    except OverflowError:
        return None
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"
