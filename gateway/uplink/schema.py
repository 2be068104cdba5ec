"""The published contract: what a gateway and the platform say to each other, as msgspec structs and JSON.

Unknown fields are passed over, so that a newer gateway can say more; `v` changes when an old reader would be wrong.
Everything that comes in is bounded by size before it is decoded.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from drivers.observation import AnyObservation, Lane, stamp, to_json
from gateway.uplink.topics import (
    ALL_GATEWAYS,
    Era,
    ack_filter,
    ack_topic,
    frame_topic,
    is_segment,
    lane_named,
    own_topic,
    split_topic,
)

__all__ = [
    "ALL_GATEWAYS",
    "Ack",
    "AnyObservation",
    "Birth",
    "DeviceBirth",
    "DeviceLink",
    "Era",
    "FrameEnvelope",
    "Health",
    "Lane",
    "Malformed",
    "MetricBirth",
    "Range",
    "State",
    "ack_filter",
    "ack_topic",
    "canonical",
    "decode_ack",
    "decode_envelope",
    "decode_key",
    "decode_observations",
    "encode",
    "frame_topic",
    "is_segment",
    "lane_named",
    "own_topic",
    "sign_ack",
    "split_topic",
    "verify_ack",
]

FRAME_TYPE = "application/vnd.jisr.frame+json"
JSON_TYPE = "application/json"
FRAME_LIMIT_BYTES = 4 << 20
"""A frame is one commit; a segment of the spool is 1 MiB."""
ACK_LIMIT_BYTES = 4096
ACK_HOLES = 64
KEY_BYTES = 32

Range = tuple[int, int]
"""First and last sequence number, both inside."""


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
    epoch: int
    lane: Lane
    first: int
    count: int
    observations: Raw
    """JSON array, exactly as it lies in the spool; gateway, epoch, lane and seq of each are those of the frame."""
    v: int = 1
    boot: str | UnsetType = UNSET


class Ack(Struct, frozen=True):
    """The platform has every observation up to `upto` but those inside `holes`; the MAC proves that it says so."""

    spool: str
    epoch: int
    upto: int
    holes: tuple[Range, ...] = ()
    mac: str = ""


class MetricBirth(Struct, frozen=True, omit_defaults=True):
    """What a metric is: the description, apart from its state."""

    vendor_code: str
    metric: str = ""
    code: int = 0
    unit: str = ""
    category: str = ""
    label_en: str = ""
    label_fr: str = ""


class DeviceBirth(Struct, frozen=True, omit_defaults=True):
    """One configured device."""

    name: str
    driver: str
    profile: str = ""
    place: str = ""
    mode: str = "real"
    evidence: str = ""
    port: str = ""
    sends: bool = False
    """Whether the box may ask this device anything (law 3); else it only listens."""
    metrics: tuple[MetricBirth, ...] = ()


class Birth(Struct, frozen=True):
    """Retained: who this box is. The uplink fills gateway to encoding itself."""

    gateway: str = ""
    site: str = ""
    session: int = 0
    spool: str = ""
    epoch: int = 0
    ack: Literal["platform", "broker"] = "platform"
    encoding: Literal["json"] = "json"
    software: str = ""
    language: str = ""
    boot: str = ""
    at: str = ""
    devices: tuple[DeviceBirth, ...] = ()
    extra: dict[str, Any] = {}
    v: int = 1


class State(Struct, frozen=True):
    """Retained, and the last will: a will that carries an older session than the birth is stale."""

    state: Literal["online", "offline"]
    session: int
    v: int = 1


class DeviceLink(Struct, frozen=True, omit_defaults=True):
    """How the line to one device fares."""

    connection: str
    why: str = ""
    observations: int = 0
    faults: dict[str, int] = {}
    unsent: dict[str, int] = {}
    rejected_share: float = 0.0


class Health(Struct, frozen=True):
    """Each minute: counters, disk, link, clock, temperature, per-device link state."""

    gateway: str = ""
    session: int = 0
    epoch: int = 0
    at: str = ""
    uptime_s: float = 0.0
    clock: dict[str, Any] = {}
    spool: dict[str, dict[str, int]] = {}
    """Per lane: observations and bytes committed and not yet released."""
    counters: dict[str, int] = {}
    link: dict[str, Any] = {}
    disk: dict[str, int] = {}
    rss_mb: float = 0.0
    load: float = 0.0
    temperature_c: float | None = None
    devices: dict[str, DeviceLink] = {}
    extra: dict[str, Any] = {}
    v: int = 1


_ENCODER = msgspec.json.Encoder(decimal_format="number")
_FRAMES = msgspec.json.Decoder(FrameEnvelope)
_ACKS = msgspec.json.Decoder(Ack)
_OBSERVATIONS = msgspec.json.Decoder(list[AnyObservation])


def encode(message: Struct) -> bytes:
    """Any message of the contract as JSON."""
    return _ENCODER.encode(message)


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


def decode_observations(frame: FrameEnvelope) -> tuple[AnyObservation, ...]:
    """The observations of a frame, each stamped with gateway, epoch, lane and its own seq. Raises `Malformed`."""
    try:
        seen = _OBSERVATIONS.decode(frame.observations)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Malformed("observations") from error
    if len(seen) != frame.count:
        raise Malformed("count")
    where = {"gateway": frame.gateway, "epoch": frame.epoch, "lane": frame.lane}
    return tuple(stamp(one, seq=seq, **where) for seq, one in enumerate(seen, frame.first))


def canonical(observation: AnyObservation) -> str:
    """The canonical JSON line, without its newline."""
    return to_json(observation).decode()


def decode_key(text: str) -> bytes:
    """The 32-byte acknowledgement key out of its hexadecimal text. Raises `ValueError`."""
    key = bytes.fromhex(text.strip())
    if len(key) != KEY_BYTES:
        raise ValueError("length")
    return key


def _mac(key: bytes, site: str, gateway: str, lane: Lane, ack: Ack) -> str:
    holes = ",".join(f"{first}-{last}" for first, last in ack.holes)
    said = f"jisr-ack-1\n{site}\n{gateway}\n{lane}\n{ack.spool}\n{ack.epoch}\n{ack.upto}\n{holes}"
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()


def sign_ack(
    key: bytes, site: str, gateway: str, lane: Lane, *, spool: str, epoch: int, upto: int, holes: Sequence[Range] = ()
) -> Ack:
    """An acknowledgement with its MAC; beyond 64 holes it says less instead of more: `upto` ends before the 65th."""
    if len(holes) > ACK_HOLES:
        upto, holes = holes[ACK_HOLES][0] - 1, holes[:ACK_HOLES]
    bare = Ack(spool, epoch, upto, tuple(holes))
    return Ack(spool, epoch, upto, tuple(holes), _mac(key, site, gateway, lane, bare))


def verify_ack(key: bytes, site: str, gateway: str, lane: Lane, ack: Ack) -> bool:
    """Whether the MAC is that of this key over this site, gateway, lane, spool, epoch, upto and holes."""
    return hmac.compare_digest(_mac(key, site, gateway, lane, ack).encode(), ack.mac.encode())


def decode_ack(payload: bytes) -> Ack:
    """An acknowledgement whose numbers make sense; the MAC is checked apart. Raises `Malformed`."""
    if len(payload) > ACK_LIMIT_BYTES:
        raise Malformed("too_large")
    try:
        ack = _ACKS.decode(payload)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Malformed("not_an_ack") from error
    before = 0
    if ack.epoch < 1 or ack.upto < 0 or len(ack.holes) > ACK_HOLES:
        raise Malformed("numbering")
    for first, last in ack.holes:
        if not before < first <= last <= ack.upto:
            raise Malformed("holes")
        before = last
    return ack
