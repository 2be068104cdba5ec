"""From physiological data to observations: which code a number has, why it is absent or doubted, what changed.

The code of a pressure, a temperature and an agent holds the label that the monitor gives it (`ART.sys`). Two
channels with one label, or with one that is not known, go by the number of their channel (`IBP2.sys`, `T3.temp`).
"""

from collections import Counter
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec
from msgspec import Struct

from drivers.ge_dri import layout
from drivers.ge_dri.layout import Doubt, Physiological, Read
from drivers.ge_dri.requests import DISPLAYED, TREND_10S, TREND_60S
from drivers.mds import Mds
from drivers.observation import Alert, AnyObservation, Enumeration, Numeric, Validity, Vendor
from drivers.profile import Metric, Profile, unknown_numeric

PREFIXES = {DISPLAYED: "", TREND_10S: "10s.", TREND_60S: "60s."}
"""What stands before the code of a trend value."""
SVO2_UNUSED_FROM_LEVEL = 8
_VALIDITY: dict[str, Validity] = {
    "under_range": "underflow",
    "over_range": "overflow",
    "not_calibrated": "calibration",
    "calibrating": "calibration",
    "zeroing": "calibration",
}
_NIBP_MODES = 3
_NIBP_STATES = {5: "measuring", 6: "stasis", 7: "calibrating"}
_TENTH = Decimal("0.1")
_PER_MMHG = Decimal(100_000)
"""Hundredths of a per cent times tenths of a mm[Hg], as a part of the ambient pressure in mm[Hg]."""
_NOT_OF_A_PATIENT = ("CO2.amb_press", "T_ROOM.temp")


class _Number(Struct, frozen=True):
    """One number of one group, before it is judged."""

    row: Metric | None
    code: str
    raw: int
    field: str
    read: Read


class Observer:
    """What is remembered of one monitor; bounded by the groups of the basic class."""

    def __init__(self, profile: Profile) -> None:
        self.mds = Mds()
        self._rows = profile.by_code
        self._trend_rows = {
            prefix + row.code: _trend_row(prefix, row)
            for prefix in PREFIXES.values()
            if prefix
            for row in profile.metric
            if row.kind == "numeric"
        }
        self._bits = [row for row in profile.metric if row.kind == "alert" and "bit" in row.extra]
        self.restart()

    def restart(self) -> None:
        """The port was opened again, perhaps on another monitor."""
        self.mds.restart()
        self._told: dict[str, str] = {}
        self._shown: dict[str, dict[str, Metric]] = {}

    def observe(self, kind: int, data: Physiological, level: int) -> list[AnyObservation]:
        """All that one subrecord says; of a trend only its numbers."""
        self.mds.device_time = str(data.time)
        prefix = PREFIXES[kind]
        numbers = list(self._numbers(data, level))
        values = [self._trend(prefix, n) if prefix else self._value(n) for n in numbers]
        if kind == DISPLAYED:
            values += self._pressure_of_co2(data)
        seen = self.mds.values([*values, *self._gone(prefix, values)])
        if kind == DISPLAYED:
            seen += self.mds.values(self._states(data)) + self._alerts(data) + self._operating(values)
        return seen

    def _numbers(self, data: Physiological, level: int) -> Iterator[_Number]:
        """The numbers of every module that is there, with the code of each."""
        sites = Counter(read.group.prefix + read.site for read in data.groups if _exists(read) and read.site)
        for read in data.groups:
            if not _exists(read):
                continue
            named = read.group.prefix + read.site
            group = named if read.site and sites[named] == 1 else read.group.name
            for field, raw in zip(read.group.fields, read.numbers, strict=True):
                if field == "svo2" and level >= SVO2_UNUSED_FROM_LEVEL:
                    continue
                name = _heart_rate(read.status) if (group, field) == ("ECG", "hr") else field
                code = f"{group}.{name}"
                yield _Number(self._rows.get(code), code, raw, field, read)

    def _value(self, number: _Number) -> Numeric:
        row, text, time = number.row, str(number.raw), self.mds.device_time
        if row is None:  # a source of the heart rate that is not known
            return msgspec.structs.replace(unknown_numeric(number.code, text), device_time=time)
        absent, doubt = _why(number)
        if absent:
            validity = _VALIDITY.get(absent)
            return row.numeric(None, text, reason=absent, validity=validity, device_time=time)
        value = Decimal(number.raw).scaleb(-row.extra.get("decimals", 0))
        validity = "questionable" if doubt else None
        return row.numeric(value, text, reason=doubt, validity=validity, device_time=time)

    def _trend(self, prefix: str, number: _Number) -> Numeric:
        """The same under the trend's code; the gate knows no such row, so its range is looked at here."""
        row = self._trend_rows.get(prefix + number.code)
        value = self._value(msgspec.structs.replace(number, row=row, code=prefix + number.code))
        low, high = row.range if row else (None, None)
        if value.value is None or value.validity != "valid":
            return value
        if (low is not None and value.value < low) or (high is not None and value.value > high):
            return msgspec.structs.replace(value, validity="questionable", reason="implausible")
        return value

    def _pressure_of_co2(self, data: Physiological) -> list[Numeric]:
        """End-tidal CO2 in mm[Hg]: calculated here, where both the share and the ambient pressure are there."""
        read = next(read for read in data.groups if read.group.name == "CO2")
        row = self._rows["CO2.et_mmHg"]
        if not _exists(read):
            return []
        share, pressure = (
            self._value(_Number(self._rows[f"CO2.{field}"], field, read.numbers[at], field, read))
            for at, field in ((0, "et"), (3, "amb_press"))
        )
        text = f"{read.numbers[0]} {read.numbers[3]}"
        reason = share.reason or pressure.reason
        if share.value is None or pressure.value is None:
            return [row.numeric(None, text, reason=reason, device_time=self.mds.device_time)]
        exact = Decimal(read.numbers[0] * read.numbers[3]) / _PER_MMHG
        value = exact.quantize(_TENTH, rounding=ROUND_HALF_EVEN)
        validity: Validity | None = "questionable" if reason else None
        return [row.numeric(value, text, reason=reason, validity=validity, device_time=self.mds.device_time)]

    def _gone(self, prefix: str, values: list[Numeric]) -> list[Numeric]:
        """What was shown before and is not any more: another label, another source, a module taken out."""
        now = dict.fromkeys(one.vendor.code for one in values if one.vendor)
        rows = self._trend_rows if prefix else self._rows
        before = self._shown.get(prefix, {})
        self._shown[prefix] = {code: rows[code] for code in now if code in rows}
        time = self.mds.device_time
        return [
            row.numeric(None, "", reason="not_shown", device_time=time)
            for code, row in before.items()
            if code not in now
        ]

    def _states(self, data: Physiological) -> Iterator[Enumeration]:
        """The heart rate's source, what the cuff does, and what no table explains, when they change.

        As states, without the time of the message.
        """
        for read in data.groups:
            if not _exists(read):
                continue
            name = read.group.name
            if name == "ECG":
                yield from self._state("ECG.hr_source", str(layout.hr_source(read.status)))
            if name == "NIBP":
                yield from self._state("NIBP.mode", str(read.label >> _NIBP_MODES & 0x03))
                state = next((word for bit, word in _NIBP_STATES.items() if read.label >> bit & 1), "idle")
                yield from self._state("NIBP.state", state)
            known = layout.KNOWN_STATUS.get(name, layout.EXISTS | layout.ACTIVE)
            yield from self._raw(f"{name}.status", read.status & ~known)
            label = 0 if read.site else read.label & ~layout.KNOWN_LABEL.get(name, 0)
            yield from self._raw(f"{name}.label", label)

    def _state(self, code: str, raw: str) -> Iterator[Enumeration]:
        if self._told.get(code) != raw:
            self._told[code] = raw
            yield self._rows[code].enumeration(raw, raw)

    def _raw(self, code: str, bits: int) -> Iterator[Enumeration]:
        text = f"{bits:X}"
        if self._told.get(code, "0") != text:
            self._told[code] = text
            yield unknown_word(code, text)

    def tell(self, code: str, text: str) -> list[AnyObservation]:
        """A word of the monitor's that no table explains, when it changes."""
        if self._told.get(code, "0") == text:
            return []
        self._told[code] = text
        return [unknown_word(code, text)]

    def _alerts(self, data: Physiological) -> list[AnyObservation]:
        status = {read.group.name: read.status for read in data.groups if _exists(read)}
        active = {
            row.code: Alert(
                metric=row.mdc,
                code=row.mdc_code,
                vendor=Vendor(row.code, str(row.extra["bit"])),
                validity="valid",
                device_time=self.mds.device_time,
                alert=row.extra["alert"],
                priority="unknown",
                presence="on",
            )
            for row in self._bits
            if status.get(row.extra["group"], 0) >> row.extra["bit"] & 1
        }
        return self.mds.alerts("status", active)

    def _operating(self, values: list[Numeric]) -> list[AnyObservation]:
        """In use where a heart rate or a saturation is there; standby where nothing of a patient is."""
        there = {one.vendor.code for one in values if one.vendor and one.value is not None}
        if there & {"ECG.hr", "ECG.hr_ibp", "ECG.hr_pleth", "SPO2.spo2", "SPO2.pr"}:
            return self.mds.operate("in_use")
        return [] if there.difference(_NOT_OF_A_PATIENT) else self.mds.operate("standby")


def _exists(read: Read) -> bool:
    return bool(read.status & layout.EXISTS)


def _heart_rate(status: int) -> str:
    source = layout.hr_source(status)
    return layout.HR_CODES.get(source, f"hr_source_{source}")


def _why(number: _Number) -> tuple[str, str]:
    """Why a number is absent, or else why it is doubted."""
    read = number.read
    name = read.group.name
    doubts = [*_set(layout.DOUBTS.get(name, ()), read.status), *_set(layout.LABEL_DOUBTS.get(name, ()), read.label)]
    of_field = [doubt for doubt in doubts if number.field in doubt.fields]
    absent = next((doubt.reason for doubt in of_field if doubt.is_absent), "")
    if number.raw <= layout.LAST_SPECIAL:
        absent = layout.SPECIALS.get(number.raw, "special_value")
    if not read.status & layout.ACTIVE:
        absent = "inactive"
    if name == "ECG" and number.field == "hr" and not layout.hr_source(read.status):
        absent = absent or "no_source"
    return absent, next((doubt.reason for doubt in of_field if not doubt.is_absent), "")


def _set(doubts: tuple[Doubt, ...], bits: int) -> list[Doubt]:
    return [doubt for doubt in doubts if bits >> doubt.bit & 1]


def unknown_word(code: str, text: str) -> Enumeration:
    """A word, label or set of bits that no table explains, as it was sent."""
    return Enumeration(
        vendor=Vendor(code, text),
        validity="not_available",
        reason="unknown_code",
        value=None,
        category="measurement",
    )


def _trend_row(prefix: str, row: Metric) -> Metric:
    """A trend value is no displayed value: it has the vendor's code only, with the unit and range of the other."""
    low, high = row.range
    return msgspec.structs.replace(row, code=prefix + row.code, name="", low=low, high=high, en=row.label("en"))
