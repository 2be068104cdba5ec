"""A frame on the wire: one commit of one lane with its address, and its readable encoding."""

from decimal import Decimal
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from drivers.observation import AnyObservation, Lane, stamp

FRAME_TYPE = "application/vnd.jisr.frame+json"
COMPACT_TYPE = "application/vnd.jisr.frame+compact"
FRAME_LIMIT_BYTES = (1 << 20) + 1024
"""One observation may fill a segment of the spool, 1 MiB. Decoding may cost fifteen times as much memory as text."""


class Malformed(ValueError):
    """What came in is not of this contract; `reason` is one machine word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FrameEnvelope(Struct, frozen=True):
    """One commit of one lane for the whole box: `count` observations of (spool, epoch, lane) from `first` on."""

    gateway: str
    site: str
    spool: str
    """Name of the disk's content; another one after the disk was changed."""
    epoch: int
    """Rises by one at each start of the box; numbers begin again at 1."""
    lane: Lane
    first: int
    """Number of the first observation; the others follow without a hole."""
    count: int
    """How many observations there are."""
    observations: Raw
    """JSON array, exactly as it lies in the spool; gateway, epoch, lane and seq of each are those of the frame."""
    v: int = 1
    boot: str | UnsetType = UNSET
    """Id of the run of the box's kernel to which the monotonic times belong."""


_ENCODER = msgspec.json.Encoder(decimal_format="number")
_FRAMES = msgspec.json.Decoder(FrameEnvelope)
_OBSERVATIONS = msgspec.json.Decoder(list[AnyObservation])
_DECIMALS = {
    kind: tuple(name for name, told in get_type_hints(kind).items() if told is Decimal or Decimal in get_args(told))
    for kind in get_args(AnyObservation)
}


def encode_json(frame: FrameEnvelope) -> bytes:
    """The readable encoding; the observations stand in it as they lie in the spool."""
    return _ENCODER.encode(frame)


def decode_envelope(payload: bytes) -> FrameEnvelope:
    """A frame with its observations still as text. Raises `Malformed`."""
    if len(payload) > FRAME_LIMIT_BYTES:
        raise Malformed("too_large")
    try:
        frame = _FRAMES.decode(payload)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Malformed("not_a_frame") from error
    if frame.v != 1:
        raise Malformed("version")
    if frame.first < 1 or frame.count < 1 or frame.epoch < 1:
        raise Malformed("numbering")
    return frame


def read_observations(text: bytes | Raw) -> list[AnyObservation]:
    """A JSON array of observations. Raises `Malformed`, also for "NaN" in the place of a number."""
    try:
        seen = _OBSERVATIONS.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Malformed("observations") from error
    decimals = [getattr(one, name) for one in seen for name in _DECIMALS[type(one)]]
    if not all(value.is_finite() for value in decimals if value is not None):
        raise Malformed("observations")
    return seen


def decode_observations(frame: FrameEnvelope) -> tuple[AnyObservation, ...]:
    """The observations of a frame, each stamped with gateway, epoch, lane and its own seq. Raises `Malformed`."""
    seen = read_observations(frame.observations)
    if len(seen) != frame.count:
        raise Malformed("count")
    where: dict[str, Any] = {"gateway": frame.gateway, "epoch": frame.epoch, "lane": frame.lane}
    return tuple(stamp(one, seq=seq, **where) for seq, one in enumerate(seen, frame.first))
