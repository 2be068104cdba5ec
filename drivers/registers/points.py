"""One point of a map: where it stands in the device's registers, and what its words say.

    address:   n              n + 1
             ┌──────────────┬──────────────┐
    u32      │ high word    │ low word     │   word_order = "high_first"
             │ low word     │ high word    │   word_order = "low_first"
             └──────────────┴──────────────┘

The bytes of one register are always high byte first (MODBUS Application Protocol V1.1b3, section 4.2 Data Encoding);
the order of two registers is not in that standard, so a map must state it.
"""

import math
import struct
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from drivers.contract import Table
from drivers.observation import Alert, AnyObservation, Enumeration, Vendor
from drivers.profile import Metric

Type = Literal["u16", "i16", "u32", "i32", "f32", "bit", "bits"]
WordOrder = Literal["high_first", "low_first"]
WIDE: tuple[Type, ...] = ("u32", "i32", "f32")
BIT_TABLES: tuple[Table, ...] = ("coil", "discrete")


class Source(Struct, frozen=True, kw_only=True):
    """Where a metric stands: what a map says of it beyond what every metric has. Kept in `Metric.extra["source"]`."""

    table: Table
    address: int
    """Zero-based, as it goes over the wire."""
    type: Type
    poll_s: float
    word_order: WordOrder = "high_first"
    scale: Decimal = Decimal(1)
    sentinels: dict[int, str] = {}
    """Unsigned raw value of the whole register to the reason it stands for."""
    zero: Literal["value", "absent"] = "value"
    bits: tuple[int, int] | None = None
    """Lowest and highest bit, 0 the least significant; the whole register where None."""
    alert: Literal["", "physiological", "technical", "unknown"] = ""
    priority: Literal["high", "medium", "low", "none", "unknown"] = "unknown"

    @property
    def width(self) -> int:
        """Coils or registers it takes."""
        return 2 if self.type in WIDE else 1

    def lies_in(self, table: Table, address: int, count: int) -> bool:
        """Whether all its words stand in that block."""
        return self.table == table and address <= self.address and self.address + self.width <= address + count


class Point(Struct, frozen=True):
    """A metric and its place."""

    metric: Metric
    source: Source

    def observe(self, words: tuple[int, ...], *, is_confirmed: bool) -> AnyObservation | None:
        """What the point's own words say; a sentinel, NaN or unconfirmed zero is absent with its reason."""
        source, text = self.source, _text(words, self.source.table)
        raw = _compose(words, source.word_order)
        if reason := source.sentinels.get(raw):
            return self.absent(reason, text)
        number = _number(raw, source)
        if number is None:
            return self.absent("not_a_number", text)
        if number == 0 and source.zero == "absent" and not is_confirmed:
            return self.absent("zero_unconfirmed", text)
        if self.metric.kind == "alert":
            return self._alert(is_on=number != 0, text=text)
        if self.metric.kind == "enumeration":
            return self.metric.enumeration(str(number), text)
        if not self.metric.unit:
            return self.absent("unit_unknown", text)
        return self.metric.numeric(_scaled(number, source.scale), text)

    def absent(self, reason: str, text: str = "") -> AnyObservation | None:
        """The point without a value. An alert has no such state: nothing is said of it."""
        metric = self.metric
        if metric.kind == "alert":
            return None
        if metric.kind == "numeric":
            return metric.numeric(None, text, reason=reason)
        return Enumeration(
            metric=metric.mdc,
            code=metric.mdc_code,
            vendor=Vendor(metric.code, text),
            validity="not_available",
            reason=reason,
            value=None,
            category=metric.category,
        )

    def _alert(self, *, is_on: bool, text: str) -> AnyObservation:
        return Alert(
            metric=self.metric.mdc,
            code=self.metric.mdc_code,
            vendor=Vendor(self.metric.code, text),
            validity="valid",
            alert=self.source.alert or "unknown",
            priority=self.source.priority,
            presence="on" if is_on else "off",
        )


def points_of(metrics: tuple[Metric, ...]) -> tuple[Point, ...]:
    """The points of a profile, in the order in which they are read; metrics without a place are left out."""
    found = [
        Point(metric, metric.extra["source"]) for metric in metrics if isinstance(metric.extra.get("source"), Source)
    ]
    return tuple(sorted(found, key=lambda point: (point.source.table, point.source.address, point.source.bits or ())))


def _text(words: tuple[int, ...], table: Table) -> str:
    """The words as they came: hexadecimal registers, or the coil's 0 or 1."""
    return str(words[0]) if table in BIT_TABLES else " ".join(f"{word:04X}" for word in words)


def _compose(words: tuple[int, ...], order: WordOrder) -> int:
    raw = 0
    for word in words if order == "high_first" else reversed(words):
        raw = raw << 16 | word
    return raw


def _number(raw: int, source: Source) -> Decimal | int | None:
    """The unscaled number; None where the words are no number (f32 NaN or infinity)."""
    if source.bits is not None:
        low, high = source.bits
        return raw >> low & (1 << high - low + 1) - 1
    if source.type == "f32":
        return float32(raw)
    bits = 16 * source.width
    if source.type in ("i16", "i32") and raw >> bits - 1:
        return raw - (1 << bits)
    return raw


def float32(raw: int) -> Decimal | None:
    """An IEEE 754 single by the fewest digits that mean the same 32 bits, as a display would show it."""
    packed = raw.to_bytes(4, "big")
    value: float = struct.unpack(">f", packed)[0]
    if not math.isfinite(value):
        return None
    if value == 0:
        return Decimal(0)
    digits = next(text for text in (f"{value:.{n}g}" for n in range(1, 10)) if _is_same(text, packed))
    return Decimal(digits)


def _is_same(text: str, packed: bytes) -> bool:
    try:
        return struct.pack(">f", float(text)) == packed
    except OverflowError:  # 3.402823e38 rounded up at few digits lies outside a single
        return False


def _scaled(number: Decimal | int, scale: Decimal) -> Decimal:
    """raw × scale, exact: a 32-bit integer and nine float digits fit, so nothing is rounded."""
    return Decimal(number) * scale if scale != 1 else Decimal(number)
