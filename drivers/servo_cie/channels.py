"""Channels: what the device says of each (RCCO) against the profile's table, and what their values become.

The device's own gain, offset and unit are used; the table is a cross-check. Where the two differ the device is
believed, the difference is a fault, and a value in another unit than the table's keeps only the vendor's code.
Value = raw * gain - offset (Maquet, CIE reference manual 65 43 388_12, "Channel tables"; SCI likewise).
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import Struct

from drivers.contract import Fault
from drivers.framing.servo import MISSING
from drivers.observation import Alert, Category, Enumeration, Numeric, Vendor
from drivers.profile import Metric
from drivers.servo_cie.records import UNITS, Config

Priority = Literal["high", "medium", "low", "unknown"]
PRIORITIES: dict[int, Priority] = {1: "low", 2: "medium", 3: "high"}
"""The priority byte of an SCI alarm; 0 is undefined."""
OFF, ON, SILENCED = 0, 1, 2
_MISSING_TEXT = 9999
_RATIOS = ("1", "{ratio}")


class Channel(Struct, frozen=True):
    """One channel of a table: its row, and the scale the device gave it."""

    metric: Metric
    """Its row; one of its own with the device's unit where the profile has none, or where the units differ."""
    gain: Decimal | None
    offset: Decimal

    @property
    def code(self) -> str:
        """The channel's number."""
        return self.metric.code

    def read(self, raw: int | None, text: str, device_time: str) -> Numeric | Enumeration:
        """The observation of one value; None is one that the device does not have."""
        if self.metric.kind == "enumeration":
            return self._word(raw, text, device_time)
        value = None if raw is None or self.gain is None else raw * self.gain - self.offset
        reason = "missing" if raw is None else "scale_unknown" if self.gain is None else ""
        if value is not None and not self.metric.unit:
            value, reason = None, "unit_unknown"
        off = self.metric.extra.get("off")
        if off is not None and off in (raw, value):
            value, reason = None, "off"
        return self.metric.numeric(value, text, reason=reason, device_time=device_time)

    def _word(self, raw: int | None, text: str, device_time: str) -> Enumeration:
        """Words have codes, as the manual lists them; whatever scale the device gives is not theirs."""
        seen = self.metric.enumeration("" if raw is None else str(raw), text, device_time=device_time)
        return msgspec.structs.replace(seen, reason="missing") if raw is None else seen


def is_checked(row: Metric | None) -> bool:
    """Whether the table can bear out what the device says of this channel: words have codes, not a scale."""
    return row is not None and (row.kind == "enumeration" or ("gain" in row.extra and bool(row.unit)))


def raw_of_text(text: str) -> int | None:
    """A value of four digits; 9999 is one that the device does not have."""
    return None if int(text) == _MISSING_TEXT else int(text)


def raw_of_pair(value: int) -> int | None:
    """A value of two bytes; 7EFF is one that the device does not have."""
    return None if value == MISSING else value


def channel_of(row: Metric | None, config: Config, category: Category, version: int) -> tuple[Channel, list[Fault]]:
    """The channel as the device has it, and where the profile's table says otherwise."""
    faults: list[Fault] = []
    if row is None:
        row = Metric(code=config.code, category=category, en=config.code, fr=config.code)
    for name, said in (("gain", config.gain), ("offset", config.offset)):
        expected = _expected(row, name, version)
        if expected is not None and said != expected:
            told = "none" if said is None else f"{said:f}"
            faults.append(Fault("channel_differs", f"{config.code} {name} {told}"))
    if row.kind != "enumeration":
        row = _in_unit(row, config, faults)
    if config.gain is None or config.offset is None:  # half a scale is none
        return Channel(row, None, Decimal(0)), faults
    return Channel(row, config.gain, config.offset), faults


def _expected(row: Metric, name: str, version: int) -> Decimal | None:
    """What the table has for this version of the protocol: `gain`, or `gains` from a version on."""
    said = row.extra.get(name)
    for since, later in sorted(row.extra.get(name + "s", {}).items()):
        if version >= int(since):
            said = later
    if said is None and name == "offset" and "gain" in row.extra:
        said = 0
    return None if said is None else Decimal(said)


def _in_unit(row: Metric, config: Config, faults: list[Fault]) -> Metric:
    """The row in the device's unit: none where nobody knows the one it says, the manual's where it says none."""
    if config.unit is None:
        return row
    unit = UNITS.get(config.unit, "")
    if not unit:
        faults.append(Fault("unit_unknown", f"{config.code} {config.unit}"))
    if unit == row.unit or (unit in _RATIOS and row.unit in _RATIOS):
        return row
    if row.unit and unit:
        faults.append(Fault("channel_differs", f"{config.code} unit {config.unit}"))
    return msgspec.structs.replace(row, name="", unit=unit, low=None, high=None, step=None)


def alerts(
    rows: Sequence[tuple[str, Metric | None]], states: Sequence[int], priorities: Sequence[int], device_time: str
) -> dict[str, Alert]:
    """The alarms that are on, by their channel; a silenced one is on, its text says 2.

    `priorities` are the device's own (SCI); empty where it gives none (CIE).
    """
    active: dict[str, Alert] = {}
    for at, ((code, row), state) in enumerate(zip(rows, states, strict=True)):
        if state == OFF:
            continue
        extra = row.extra if row else {}
        own = priorities[at] if priorities else None
        active[code] = Alert(
            metric=row.mdc if row else "",
            code=row.mdc_code if row else 0,
            vendor=Vendor(code, str(state)),
            validity="valid",
            device_time=device_time,
            alert=extra.get("alert", "unknown"),
            priority=PRIORITIES.get(own or 0) or extra.get("priority", "unknown"),
            presence="on",
            vendor_priority="" if own is None else str(own),
        )
    return active
