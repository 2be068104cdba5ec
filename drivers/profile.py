"""Profiles: what differs between the devices of one protocol, as data.

A driver's folder has one `profile.toml`: `[driver]` for the protocol and one `[profile.<name>]` for each device
family. `maps/<name>.toml`, where a driver has them (registers), each hold one profile more in the same shape.

Metric rows that several families share stand once, as groups in `[rows]`. A profile names the groups that are right
for it in `use`; its own rows follow in `metric`. A row of a group that is wrong for one family is named in `without`.
A code that would come from two places is refused, so that no unit is overridden in silence:

    [rows]
    every = [{ code = "24.78", name = "peep", unit = "mbar" }, { code = "24.82", name = "vt", unit = "L" }]
    [profile.savina]
    use = ["every"]
    without = ["24.82"]
    metric = [{ code = "24.88", name = "vt", unit = "mL" }]
"""

import re
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from msgspec import Struct, field

from drivers.framing.checksum import holds
from drivers.nomenclature import Term, terms
from drivers.observation import Category, Enumeration, Numeric, Validity, Vendor

Tier = Literal["sketch", "bench", "captured", "field"]
PortKind = Literal["serial", "tcp", "tcp-listen", "udp", "modbus"]


class Allowed(Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes the port lets through: one exact frame (`hex`), or a template (`pattern`, a bytes regex)."""

    name: str
    hex: str = ""
    pattern: str = ""
    check: Literal["", "sum8", "xor8"] = ""
    """Also the frame's own checksum must be right: a template alone lets a malformed frame through."""

    def regex(self) -> bytes:
        """The rule as a regular expression over bytes."""
        if self.pattern:
            return b"(?:%s)" % self.pattern.encode("latin-1")
        return re.escape(bytes.fromhex(self.hex))

    def fits(self, frame: bytes) -> bool:
        """Whether a frame is one of these, its checksum included."""
        is_one = re.fullmatch(self.regex(), frame, re.DOTALL) is not None
        return is_one and (not self.check or holds(self.check, frame))


class Identification(Struct, frozen=True, forbid_unknown_fields=True):
    """How the family is recognised: a regex over bytes it sends unasked, and the one read-only question."""

    passive: str = ""
    question: str = ""
    answer: str = ""


class Protocol(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[driver]`: facts of the protocol, the same for every device that speaks it."""

    title: str
    document: str
    version: int = 1
    ports: tuple[PortKind, ...]
    bedside: bool
    """A patient may be attached: nothing is sent until a person has said that none is, for the first trial."""
    asks: bool
    """The driver asks; bytes that cannot be verified in answer end the sending until a good frame comes."""
    answers_only: bool = False
    """It never speaks unasked: after bytes that could not be verified the box must be the one to try again."""
    checksum: bool = True
    """Its frames carry one. Without it a flipped bit inside the digits of a value cannot be seen in that frame."""
    reconnect_s: float = 0.0
    """The device wants at least so long between two connections."""
    max_frame_bytes: int
    stale_after_s: float = 0.0
    """Silence longer than this makes the device stale; 0 where the protocol is silent by nature (a laboratory)."""
    allow: tuple[Allowed, ...] = ()
    max_send_per_minute: int = 0
    do_not_send: tuple[str, ...] = ()
    """Models and firmware that must only be listened to, with the reason."""
    identification: Identification = Identification()


class Metric(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """One row of a metric table: the vendor's code, our name for it, the unit the document states."""

    code: str
    name: str = ""
    """Key of the code table; empty where it has no row: the vendor code stands alone."""
    unit: str = ""
    """UCUM unit of the value as the device sends it."""
    category: Category = "measurement"
    kind: Literal["numeric", "enumeration", "waveform", "alert", "result"] = "numeric"
    low: Decimal | None = None
    high: Decimal | None = None
    """Plausible range in `unit`; the code table's where left out and the units agree."""
    step: Decimal | None = None
    """A larger jump is questionable until a second frame agrees."""
    en: str = ""
    fr: str = ""
    values: dict[str, str] = {}
    """Enumerations: the device's code to the word that is published."""
    extra: dict[str, Any] = {}
    """What only this driver reads, e.g. an alarm's kind."""

    @cached_property
    def term(self) -> Term | None:
        """The code table's row, if the metric has a name. Raises KeyError for a name that is not there."""
        return terms()[self.name] if self.name else None

    @property
    def mdc(self) -> str:
        """IEEE 11073 reference id, or empty."""
        return self.term.mdc if self.term else ""

    @property
    def mdc_code(self) -> int:
        """IEEE 11073 code, or 0."""
        return self.term.code if self.term else 0

    @property
    def range(self) -> tuple[Decimal | None, Decimal | None]:
        """Plausible low and high in `unit`."""
        if self.low is not None or self.high is not None:
            return self.low, self.high
        if self.term and self.term.ucum == self.unit:
            return self.term.low, self.term.high
        return None, None

    def label(self, language: str) -> str:
        """What a person reads, in `fr` or English."""
        own = self.fr if language == "fr" else self.en
        if own or not self.term:
            return own or self.code
        return self.term.fr if language == "fr" else self.term.en

    def numeric(
        self,
        value: Decimal | None,
        text: str,
        *,
        reason: str = "",
        validity: Validity | None = None,
        device_time: str = "",
    ) -> Numeric:
        """An observation of this metric; a value of None needs a reason."""
        if validity is None:
            validity = "valid" if value is not None else "not_available"
        return Numeric(
            metric=self.mdc,
            code=self.mdc_code,
            vendor=Vendor(self.code, text),
            validity=validity,
            reason=reason,
            device_time=device_time,
            value=value,
            unit=self.unit,
            category=self.category,
        )

    def enumeration(self, raw: str, text: str, *, device_time: str = "") -> Enumeration:
        """The published word for the device's `raw` code; a code without a word is absent, its text stands."""
        word = self.values.get(raw)
        return Enumeration(
            metric=self.mdc,
            code=self.mdc_code,
            vendor=Vendor(self.code, text),
            validity="valid" if word is not None else "not_available",
            reason="" if word is not None else "unknown_code",
            device_time=device_time,
            value=word,
            category=self.category,
        )


def unknown_numeric(code: str, text: str) -> Numeric:
    """A code that no table has: published with the vendor's code and text, its value absent (no unit is known)."""
    return Numeric(
        vendor=Vendor(code, text),
        validity="not_available",
        reason="unit_unknown",
        value=None,
        unit="",
        category="measurement",
    )


class ModemLines(Struct, frozen=True, forbid_unknown_fields=True):
    """What opening the port may do to DTR and RTS: raise, lower, or leave as the port has them."""

    dtr: Literal["raise", "lower", "leave"] = "leave"
    rts: Literal["raise", "lower", "leave"] = "leave"


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """One device family of one protocol. `driver`, `name` and `protocol` are filled by the catalog."""

    vendor: str
    models: tuple[str, ...]
    tier: Tier
    firmware: tuple[str, ...] = ()
    ports: tuple[PortKind, ...] = ()
    """In the file those of the protocol that this family has, where not all; once read, what holds."""
    line: str = ""
    """Default line settings as the document gives them, `19200 8E1`; empty where the device sets them."""
    modem: ModemLines = ModemLines()
    metric: tuple[Metric, ...] = ()
    """In the file its own rows; once read, those of `use` before them."""
    use: tuple[str, ...] = ()
    """Groups of `[rows]`, in order; empty once read."""
    without: tuple[str, ...] = ()
    """Codes of those groups that this family does not have, or has otherwise; empty once read."""
    options: dict[str, Any] = {}
    """Engine options this profile fixes, e.g. which codes to poll; keys are the driver's own."""
    allow: tuple[Allowed, ...] = ()
    """Frames this family needs beyond the protocol's."""
    identification: Identification = Identification()
    driver: str = ""
    name: str = ""
    protocol: Protocol = field(
        default_factory=lambda: Protocol(title="", document="", ports=(), bedside=True, asks=True, max_frame_bytes=0)
    )
    """In the file only what is otherwise than in `[driver]`, e.g. `protocol = { asks = false }`; once read, all."""

    @cached_property
    def by_code(self) -> dict[str, Metric]:
        """The metric table by vendor code."""
        return {metric.code: metric for metric in self.metric}

    @property
    def is_datagram(self) -> bool:
        """Whether each piece that comes is a whole datagram, and each that is sent one frame."""
        return self.ports == ("udp",)

    @property
    def allowed(self) -> tuple[Allowed, ...]:
        """All that may be sent: the protocol's frames and this family's."""
        return self.protocol.allow + self.allow
