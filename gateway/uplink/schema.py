"""The published contract: what a gateway and the platform say to each other, as msgspec structs and JSON.

Unknown fields are passed over, so that a newer gateway can say more; `v` changes when an old reader would be wrong.
Everything that comes in is bounded by size before it is decoded.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from drivers.observation import AnyObservation, Lane, to_json
from gateway.uplink.compact import decode_compact, encode_compact, is_compact
from gateway.uplink.dictionary import DICTIONARY_TYPE, Dictionary, newest, read_dictionary, shipped
from gateway.uplink.envelope import (
    COMPACT_TYPE,
    FRAME_LIMIT_BYTES,
    FRAME_TYPE,
    FrameEnvelope,
    Malformed,
    decode_envelope,
    decode_observations,
    encode_json,
)
from gateway.uplink.time import TimeAnswer, TimeRequest, decode_time_request, parse_utc, sign_time
from gateway.uplink.topics import (
    ALL_GATEWAYS,
    Era,
    ack_filter,
    ack_topic,
    consumer_filters,
    dictionary_named,
    dictionary_topic,
    frame_topic,
    is_segment,
    lane_named,
    own_topic,
    split_topic,
    time_answer_topic,
)

__all__ = [
    "ALL_GATEWAYS",
    "COMPACT_TYPE",
    "DICTIONARY_TYPE",
    "FRAME_LIMIT_BYTES",
    "FRAME_TYPE",
    "Ack",
    "AnyObservation",
    "Birth",
    "DeviceBirth",
    "DeviceLink",
    "Dictionary",
    "Era",
    "FrameEnvelope",
    "Health",
    "Lane",
    "Malformed",
    "MetricBirth",
    "Range",
    "State",
    "TimeAnswer",
    "TimeRequest",
    "ack_filter",
    "ack_topic",
    "canonical",
    "consumer_filters",
    "decode_ack",
    "decode_envelope",
    "decode_frame",
    "decode_key",
    "decode_observations",
    "decode_time_request",
    "dictionary_named",
    "dictionary_topic",
    "encode",
    "encode_compact",
    "encode_json",
    "frame_topic",
    "frame_type",
    "is_segment",
    "lane_named",
    "newest",
    "own_topic",
    "parse_utc",
    "read_dictionary",
    "shipped",
    "sign_ack",
    "sign_time",
    "split_topic",
    "time_answer_topic",
    "verify_ack",
]

JSON_TYPE = "application/json"
ACK_LIMIT_BYTES = 4096
ACK_HOLES = 64
KEY_BYTES = 32

Range = tuple[int, int]
"""First and last sequence number, both inside."""


class Ack(Struct, frozen=True):
    """The platform has every observation up to `upto` but those inside `holes`; the MAC proves that it says so."""

    spool: str
    epoch: int
    upto: int
    """Last number of (spool, epoch, lane) that the platform has."""
    holes: tuple[Range, ...] = ()
    """First and last of each stretch it does not have: both inside, ascending, disjoint, not beyond `upto`."""
    mac: str = ""
    """HMAC-SHA256 in lower-case hexadecimal."""


class MetricBirth(Struct, frozen=True, omit_defaults=True):
    """What a metric is: the description, apart from its state."""

    vendor_code: str
    metric: str = ""
    """IEEE 11073-10101 reference id, where a source confirms one."""
    code: int = 0
    """Its context-free code."""
    unit: str = ""
    """UCUM."""
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
    """How well the driver is proven: sketch, bench, captured or field."""
    port: str = ""
    sends: bool = False
    """Whether the box may ask this device anything; else it only listens."""
    metrics: tuple[MetricBirth, ...] = ()


class Birth(Struct, frozen=True):
    """Retained: who this box is, what it runs, and which devices it has."""

    gateway: str = ""
    site: str = ""
    session: int = 0
    """One number for each connection; of one spool they only rise."""
    spool: str = ""
    """Name of the disk's content; another one after the disk was changed."""
    epoch: int = 0
    """Rises by one at each start of the box."""
    ack: Literal["platform", "broker"] = "platform"
    """What frees data on the box: the platform's acknowledgement, or the broker's PUBACK."""
    encoding: Literal["json", "compact"] = "json"
    """How its frames are written. Consumers tell each frame's by its first bytes."""
    software: str = ""
    language: str = ""
    boot: str = ""
    """Id of this run of the box's kernel, to which monotonic times belong."""
    at: str = ""
    """The box's time at the connection."""
    devices: tuple[DeviceBirth, ...] = ()
    extra: dict[str, Any] = {}
    v: int = 1


class State(Struct, frozen=True):
    """Retained, and the last will: it counts only while its session is that of the last birth."""

    state: Literal["online", "offline"]
    session: int
    v: int = 1


class DeviceLink(Struct, frozen=True, omit_defaults=True):
    """How the line to one device fares."""

    connection: str
    why: str = ""
    """A sentence for a person, empty while all is well."""
    observations: int = 0
    faults: dict[str, int] = {}
    """Rejected frames by reason."""
    unsent: dict[str, int] = {}
    """What the driver wanted to send and the port refused, by reason."""
    rejected_share: float = 0.0
    """Share of the last frames that were rejected."""


class Health(Struct, frozen=True):
    """Each minute: counters, disk, link, clock, temperature, per-device link state."""

    gateway: str = ""
    session: int = 0
    epoch: int = 0
    at: str = ""
    uptime_s: float = 0.0
    """Since the kernel started."""
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
_ACKS = msgspec.json.Decoder(Ack)


def encode(message: Struct) -> bytes:
    """Any message of the contract as JSON."""
    return _ENCODER.encode(message)


def decode_frame(
    payload: bytes, dictionaries: Mapping[int, Dictionary] | None = None
) -> tuple[FrameEnvelope, tuple[AnyObservation, ...]]:
    """A frame in either encoding, with its observations stamped: the one entrance for whoever reads frames.

    `dictionaries` default to those shipped with this software. Raises `Malformed`; with reason "dictionary" the
    frame is good as far as can be seen, but compressed with a dictionary that is not among them.
    """
    if is_compact(payload):
        return decode_compact(payload, shipped() if dictionaries is None else dictionaries)
    frame = decode_envelope(payload)
    return frame, decode_observations(frame)


def frame_type(payload: bytes) -> str:
    """The MQTT content type of an encoded frame, by its first bytes."""
    return COMPACT_TYPE if is_compact(payload) else FRAME_TYPE


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
