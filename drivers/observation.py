"""Observations: what a driver reads out of verified frames, in the vocabulary of IEEE 11073 and BICEPS.

A driver fills the upper part of an observation; the gateway stamps the rest (device, place, times, identity)
with `stamp()`. The same struct is the schema of the wire, of the spool and of the canonical JSON line.
"""

from decimal import Decimal
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct

Validity = Literal[
    "valid",
    "validated",
    "ongoing",
    "questionable",
    "calibration",
    "invalid",
    "overflow",
    "underflow",
    "not_available",
]
Category = Literal["measurement", "calculation", "setting"]
Mode = Literal["real", "test", "demo"]
SourceAuth = Literal["point_to_point", "network_unauthenticated", "paired", "tls"]
Lane = Literal["event", "numeric", "wave", "log"]
ClockQuality = Literal["none", "floor", "device", "ntp", "signed"]
ClockWhy = Literal["start", "sync", "signed", "step", "lost", "regular"]
LANES: tuple[Lane, ...] = get_args(Lane)
"""Lanes by priority, highest first."""


class Vendor(Struct, frozen=True, omit_defaults=True):
    """The device's own word for it: vendor code, and the text exactly as it was sent."""

    code: str
    text: str = ""


class ClockTrust(Struct, frozen=True, omit_defaults=True):
    """How far the box's clock is trusted, and the time it cannot get wrong: boot id and monotonic seconds."""

    quality: ClockQuality
    error_ms: int | None = None
    boot: str = ""
    mono_s: float = 0.0


class Observation(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What every kind has in common. Fields after `device_time` are stamped by the gateway, never by a driver."""

    metric: str = ""
    """IEEE 11073-10101 reference id; empty where no source confirms one (the vendor code stands)."""
    code: int = 0
    """IEEE 11073-10101 context-free code; 0 where not confirmed."""
    vendor: Vendor | None = None
    validity: Validity
    reason: str = ""
    """Why the value is not plainly valid, e.g. `sensor_off`, `line_noise`, `step`, `implausible`."""
    mds: str = ""
    """The medical device system, on a line that carries several, by its slot: e.g. `11`; empty: the line's own."""
    device_time: str = ""
    """The device's own time, as sent."""

    device: str = ""
    place: str = ""
    driver: str = ""
    mode: Mode | None = None
    source_auth: SourceAuth | None = None
    at: str = ""
    """When the box received it, UTC, `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    clock: ClockTrust | None = None
    gateway: str = ""
    epoch: int = 0
    lane: Lane | None = None
    seq: int = 0


class Numeric(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="numeric"):
    """One number. `value` keeps the digits the device printed; absent is None with a `reason`."""

    value: Decimal | None
    unit: str
    category: Category


class Enumeration(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="enumeration"):
    """One word of a closed or vendor's list, e.g. a ventilation mode."""

    value: str | None
    category: Category


class Mark(Struct, frozen=True):
    """An event inside a waveform: it falls before sample `at` of the array."""

    at: int
    event: str


class Waveform(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="waveform"):
    """Real-time sample array: value = offset + scale * sample; a sample that was not sent is None."""

    samples: tuple[int | None, ...]
    interval_us: int
    scale: Decimal
    offset: Decimal
    unit: str
    category: Category
    start: int = 0
    """Number of the first sample since the stream was opened, so that a hole shows."""
    marks: tuple[Mark, ...] = ()


class Alert(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="alert"):
    """An alert condition of the device: presence goes on, then off; a repeat is not a second alert."""

    alert: Literal["physiological", "technical", "unknown"]
    priority: Literal["high", "medium", "low", "none", "unknown"]
    presence: Literal["on", "off"]
    vendor_priority: str = ""


class Result(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="result"):
    """One laboratory result, with the raw text of each part beside what was understood of it."""

    specimen: str
    test: str
    value: Decimal | None
    """The number; None where the result is said in words, or where there is none, which has a `reason`."""
    text: str = ""
    """The value field as sent."""
    answer: str = ""
    """The result where it is said in words, as sent without padding; `validity` tells whether it may be believed."""
    comparator: Literal["", "<", ">", "<=", ">="] = ""
    unit: str = ""
    """UCUM, where the profile confirms the vendor's unit; else empty."""
    vendor_unit: str = ""
    reference_range: str = ""
    flags: tuple[str, ...] = ()
    status: Literal["final", "preliminary", "corrected", "cancelled", "questionable", "unknown"]
    vendor_status: str = ""
    specimen_type: str = ""
    started: str = ""
    completed: str = ""
    instrument: str = ""
    reagent_lot: str = ""
    """The lot of the reagent or cartridge, where the device tells it for this result."""
    run: str = ""
    """The device's own number of the run, or of the specimen in its own series, as sent."""
    comments: tuple[str, ...] = ()
    purpose: Literal["patient", "qc"] = "patient"
    loinc: str = ""
    identity: str
    """Content identity: the same result sent twice has the same one."""


class Device(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="device"):
    """The device itself: link, identity as it tells it, operating state, technical counters."""

    connection: Literal["connected", "disconnected", "stale", "unknown"]
    operating: Literal["in_use", "standby", "off", "unknown"] = "unknown"
    identity: dict[str, str] = {}
    counters: dict[str, int] = {}


class Gap(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="gap"):
    """Observations that will never come: where they stood, and why."""

    gap_lane: Lane
    gap_epoch: int
    first: int
    last: int


class Clock(Observation, frozen=True, kw_only=True, omit_defaults=True, tag="clock"):
    """The box's own clock: at `mono_s` of this boot it was `utc`, as far as `quality` and `error_ms` say.

    With `ntp`, and with `signed` where that is also the reason, it is a point of the platform's clock map.
    """

    boot: str
    mono_s: float
    utc: str
    quality: ClockQuality
    error_ms: int | None = None
    why: ClockWhy
    """`sync` and `signed`: trusted from now on; `lost`: no longer; `step`: somebody moved the system's clock."""
    step_ms: int = 0
    """By how much it was moved since the last record."""


AnyObservation = Numeric | Enumeration | Waveform | Alert | Result | Device | Gap | Clock

_LANE: dict[type[Observation], Lane] = {Numeric: "numeric", Enumeration: "numeric", Waveform: "wave"}

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER: msgspec.json.Decoder[AnyObservation] = msgspec.json.Decoder(AnyObservation)


def lane_of(observation: Observation) -> Lane:
    """The spool lane an observation belongs to: numeric, wave, or event for everything else."""
    return _LANE.get(type(observation), "event")


def stamp(observation: AnyObservation, **fields: Any) -> AnyObservation:
    """The same observation with the gateway's fields set; the values stay as they are."""
    return msgspec.structs.replace(observation, **fields)


def to_json(observation: AnyObservation) -> bytes:
    """Canonical JSON, one line without its newline; numbers keep the digits the device printed."""
    return _ENCODER.encode(observation)


def from_json(line: bytes) -> AnyObservation:
    """The observation of one canonical line. Raises `msgspec.DecodeError` on anything else."""
    return _DECODER.decode(line)
