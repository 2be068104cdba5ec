"""From the monitor's messages to observations: which number is believed, what is said again and when, which alarms.

What a parameter is and in which unit stands in the profile's table; one without a row there is published as sent.
Only numbers say what a row is: names differ between firmwares and languages. A name can contradict, no more.
"""

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import Struct

from drivers.contract import Fault
from drivers.framing.hl7 import Delimiters
from drivers.mds import Mds
from drivers.mindray_pds.frames import (
    LEVELS,
    LIMITS,
    MARKS,
    NO_TIME,
    PHYSIOLOGICAL,
    SETTINGS,
    SNAPSHOT,
    TECHNICAL,
    Obx,
    Report,
)
from drivers.mindray_pds.options import Options
from drivers.observation import Alert, AnyObservation, Enumeration, Numeric, Validity, Vendor
from drivers.profile import Metric, Profile, unknown_numeric

Priority = Literal["high", "medium", "low", "none", "unknown"]
PRIORITIES: dict[str, Priority] = {"1": "high", "2": "medium", "3": "low", "4": "none"}
"""Alarm level, Appendix B: red, orange, yellow, message."""
HIGH, LOW = "2002", "2003"
LOADED, PARAMETER = "2023", "2025"
SETTINGS_S = 60.0
"""A limit that did not change is said again each this many seconds."""
PERIOD_LOST_S = 10.0
"""A value of each second that did not come for so long is not the patient's any more."""
ALARMS_LOST_S = 60.0
"""Alarms are told each second. A list that did not come for so long says nothing any more."""
FAHRENHEIT_ABOVE = 60
"""No body is warmer than this in °C, and none colder in °F: the unit is not the one that the configuration says."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,6})(?:\.[0-9]{1,4})?")
_MISSING = re.compile(r"-100?(?:\.0+)?")
_MISSING_OF_SIGNED = re.compile(r"-100(?:\.0+)?")
_RANGES = {"ibp": (Decimal(-50), None), "st": (Decimal(-2), Decimal(2))}
"""Rule 1.8 of the guide: valid values are positive, but for these."""
_ALARM = re.compile(r"([1-9][0-9]{0,5})\^(.*)", re.DOTALL)
_PERSONAL = re.compile(r"5[12]|23[0-9]{2}")
"""Height, weight, and the patient's own numbers and words."""
_FREE_TEXT = ("ST", "TX", "FT", "PN", "XPN")
"""Types that may hold whatever a person has typed, a name too."""
_MOST_UNKNOWN, _MOST_ALARMS, _MOST_MODULES, _MOST_TEXT = 256, 128, 64, 80
_LEVEL = re.compile(r"[0-9]")
"""A row with a longer number among the alarms is none: 2040 and 2041 were seen there."""
_SETTINGS = (LIMITS, SETTINGS, LEVELS, MARKS, PHYSIOLOGICAL, TECHNICAL)
"""Kinds whose unknown rows are no measurements."""
_FACTORS = {"[degF]": Decimal("1.8"), "kPa": 1 / Decimal("7.50062"), "%": 1 / Decimal("7.6")}
"""From °C and mmHg; per cent of a gas at 760 mmHg. Only what is plausible is converted, never a value."""
_DELIMITERS = Delimiters()


class _Told(Struct):
    """A limit as last published, whether it was valid, and when."""

    text: str
    is_valid: bool
    at: float


class _Shown(Struct):
    """A value of each second as last published, and when."""

    one: Numeric | Enumeration
    at: float


class Observer:
    """What is remembered of one monitor; bounded by the profile's rows and by the figures above."""

    def __init__(self, profile: Profile, options: Options) -> None:
        self.mds = Mds()
        units: dict[str, str] = {"temperature": options.temperature, "gas": options.gas}
        self._rows = {row.code: _in_unit(row, units) for row in profile.metric}
        self._switched = {row.code for row in profile.metric if self._rows[row.code] is not row}
        """Rows in another unit than the profile's: what stands behind the driver cannot tell what is plausible."""
        self._by_name: dict[str, set[str]] = {}
        for row in profile.metric:
            for said in filter(None, row.extra.get("said", "").split(", ")):
                self._by_name.setdefault(_short(said), set()).add(row.code)
        self._measured: dict[str, tuple[str, str]] = {}
        self._shown: dict[str, _Shown] = {}
        self._told: dict[str, _Told] = {}
        self._unknown: set[str] = set()
        self._modules: dict[str, str] = {}
        self._listed: dict[str, tuple[str, str]] = {}
        self._bed = self._other_bed = ""
        self._has_beds = False
        self._alarms_at: dict[str, float] = {}
        self._faults: list[Fault] = []

    def restart(self) -> None:
        """The port was opened again. What was measured once stays known: the monitor sends it again."""
        self.mds.restart()
        self._shown.clear()
        self._told.clear()
        self._unknown.clear()
        self._modules.clear()
        self._listed.clear()
        self._bed = self._other_bed = ""
        self._has_beds = False

    @property
    def expires_at(self) -> float | None:
        """When the oldest value of each second is too old; None while there is none, or no link."""
        if self.mds.connection != "connected" or not self._shown:
            return None
        return min(shown.at for shown in self._shown.values()) + PERIOD_LOST_S

    def expire(self, now: float) -> list[AnyObservation]:
        """Values that did not come any more: a module was pulled out, or the monitor sends none."""
        due = self.expires_at
        if due is None or now < due:
            return []
        old = [code for code, shown in self._shown.items() if now >= shown.at + PERIOD_LOST_S]
        return self._withdraw("silence", old)

    def hold_alarms(self, now: float) -> None:
        """There is no link: the time does not run."""
        self._alarms_at = dict.fromkeys(self._alarms_at, now)

    def expire_alarms(self, now: float) -> list[AnyObservation]:
        """Alarms of a list that does not come any more: whether they are on nobody can say."""
        old = [source for source, at in self._alarms_at.items() if now >= at + ALARMS_LOST_S]
        for source in old:
            del self._alarms_at[source]
        ended = [one for source in old for one in self.mds.alerts(source, {})]
        return [msgspec.structs.replace(one, validity="not_available", reason="silence") for one in ended]

    def withdraw(self, reason: str) -> list[AnyObservation]:
        """No value of each second is believed any more."""
        return self._withdraw(reason, list(self._shown))

    def disown(self, reason: str) -> list[AnyObservation]:
        """Somebody else is at the other end: no value and no alarm of the device is known any more."""
        return self.withdraw(reason) + self.mds.end_alerts(reason)

    def _withdraw(self, reason: str, codes: list[str]) -> list[AnyObservation]:
        gone = self.mds.withdraw(reason, [self._shown.pop(code).one for code in codes])
        return gone if self._shown else gone + self.mds.operate("unknown")

    def numerics(self, report: Report, now: float) -> tuple[list[AnyObservation], list[Fault]]:
        """Kinds 204 and 503, and a gateway's snapshot."""
        if report.kind == SNAPSHOT and not self._is_one_bed(report.bed):
            gone = self.withdraw("other_bed") if self._has_beds else []
            return gone, [Fault("other_bed", report.kind)]
        counts = Counter(row.id for row in report.rows)
        seen: list[Numeric | Enumeration] = []
        for row in report.rows:
            one = self._numeric(row, counts[row.id] > 1, report)
            if one is None or (self._is_once(row) and not self._is_new(row, one)):
                continue
            seen.append(one)
            if self._is_once(row):
                continue
            self._shown.pop(row.id, None)
            if one.value is not None:
                self._shown[row.id] = _Shown(one, now)
        told = self.mds.values(seen)
        if any(not self._is_once(row) for row in report.rows):
            told += self.mds.operate("in_use" if self._shown else "unknown")
        return told, self._take_faults()

    def limits(self, report: Report, now: float) -> tuple[list[AnyObservation], list[Fault]]:
        """Kind 51: upper and lower alarm limits."""
        counts = Counter((row.id, row.of) for row in report.rows)
        pairs = {row.of for row in report.rows if counts[HIGH, row.of] == counts[LOW, row.of] == 1}
        numbers = {(row.id, row.of): Decimal(row.value) for row in report.rows if _NUMBER.fullmatch(row.value)}
        seen: list[Numeric | Enumeration] = []
        for row in report.rows:
            code = f"{row.id}.{row.of}"
            metric = self._rows.get(code)
            if metric is None or row.type != "NM":
                seen += self._raw(row, code, report)
                continue
            high, low = numbers.get((HIGH, row.of)), numbers.get((LOW, row.of))
            is_pair = row.of in pairs and high is not None and low is not None and low < high
            one = self._value(metric, row, "", is_sure=is_pair or self._has_said(code, row.value))
            if self._is_due(code, one, row.value, now):
                seen.append(one)
        return self.mds.values(seen), self._take_faults()

    def alarms(self, report: Report, now: float) -> tuple[list[AnyObservation], list[Fault]]:
        """Kinds 54 and 56: all alarms of that sort that are on now; none is none."""
        source: Literal["physiological", "technical"] = "physiological" if report.kind == "54" else "technical"
        self._alarms_at[source] = now
        active: dict[str, Alert] = {}
        beside: list[Numeric | Enumeration] = []
        for row in report.rows:
            if not _LEVEL.fullmatch(row.id):
                beside += self._raw(row, _of(row), report)
                continue
            found = _ALARM.fullmatch(row.value)
            if found is None or len(active) >= _MOST_ALARMS:
                self._faults.append(Fault("alarm", report.kind))
                continue
            before = active.get(found[1])
            if before is None or row.id < before.vendor_priority:
                active[found[1]] = _alert(row, found[1], found[2], source)
        return self.mds.alerts(source, active) + self.mds.values(beside), self._take_faults()

    def modules(self, report: Report) -> tuple[list[AnyObservation], list[Fault]]:
        """Kind 11: a module, and the parameters that it measures."""
        for row in report.rows:
            found = _ALARM.fullmatch(row.value)
            if found is None:
                self._faults.append(Fault("module", row.id))
            elif row.id == LOADED and len(self._modules) < _MOST_MODULES:
                self._modules[found[1]] = _clean(found[2])
            elif row.id == PARAMETER and found[1] in self._rows:
                self._listed[found[1]] = row.of, _short(found[2])
        names = (f"{code} {name}".strip() for code, name in sorted(self._modules.items()))
        told = self.mds.identify({"modules": ", ".join(names)}) if self._modules else []
        return told, self._take_faults()

    def settings(self, report: Report) -> tuple[list[AnyObservation], list[Fault]]:
        """Kinds 53, 58 and 205, whose rows are not explained to us: as sent."""
        rows = [one for row in report.rows for one in self._raw(row, _of(row), report)]
        return self.mds.values(rows), self._take_faults()

    def _is_one_bed(self, bed: str) -> bool:
        """Whether a snapshot is of the one bed at its address (transmitters may share one). Two: which is ours?

        A second bed that is named once may be a damaged bit; twice, it is there, and no snapshot is read any more.
        """
        self._bed = self._bed or bed
        if bed != self._bed:
            self._has_beds = self._has_beds or bed == self._other_bed
            self._other_bed = bed
            return False
        return not self._has_beds

    def _take_faults(self) -> list[Fault]:
        faults, self._faults = self._faults, []
        return faults

    def _numeric(self, row: Obx, is_twice: bool, report: Report) -> Numeric | Enumeration | None:
        metric = self._rows.get(row.id)
        if metric is None:
            return next(self._raw(row, row.id, report), None)
        doubt = "duplicate" if is_twice else self._doubt(metric, row)
        if doubt:
            self._faults.append(Fault("contradiction", f"{row.id} {doubt}"))
        return self._value(metric, row, doubt)

    def _doubt(self, metric: Metric, row: Obx) -> str:
        """What stands beside the number and speaks against it; the monitor's own list (kind 11) may clear it."""
        module, name = self._listed.get(row.id, ("", ""))
        of = metric.extra.get("module", "")
        if row.of and of and row.of not in (of, module):
            return "module"
        short = _short(row.name)
        if short != name and row.id not in self._by_name.get(short, {row.id}):
            return "name"
        if row.unit and row.unit != metric.unit:
            return "unit"
        return "type" if row.type != "NM" else ""

    def _value(self, metric: Metric, row: Obx, doubt: str, *, is_sure: bool = True) -> Numeric:
        value, reason = None, doubt or self._absent(metric, row)
        validity: Validity | None = None
        if not reason:
            value = Decimal(row.value)
            if not is_sure:
                validity, reason = "questionable", "unconfirmed"
            elif self._is_once(row) and not row.time:
                validity, reason = "questionable", "no_time"
            elif metric.code in self._switched and not _is_within(value, metric.range):
                validity, reason = "questionable", "implausible"
        time = "" if row.time == NO_TIME else row.time
        return metric.numeric(value, row.value, reason=reason, validity=validity, device_time=time)

    def _absent(self, metric: Metric, row: Obx) -> str:
        """Why a number is no value; empty: it is one."""
        sign = metric.extra.get("sign", "")
        missing = _MISSING_OF_SIGNED if sign == "ibp" else _MISSING
        if not row.value or missing.fullmatch(row.value) or (self._is_once(row) and row.time == NO_TIME):
            return "missing"
        if not _NUMBER.fullmatch(row.value):
            return "not_numeric"
        low, high = _RANGES.get(sign, (None, None))
        value = Decimal(row.value)
        is_negative = row.value.startswith("-") and not sign
        if is_negative or (low is not None and value < low) or (high is not None and value > high):
            return "out_of_range"
        if metric.extra.get("guard") and (value > FAHRENHEIT_ABOVE) != (metric.unit == "[degF]"):
            self._faults.append(Fault("temperature_unit", metric.code))
            return "unit"
        return ""

    def _is_once(self, row: Obx) -> bool:
        """Measured now and then. NIBP is so whatever its row says: without its time it would look like now's."""
        metric = self._rows.get(row.id)
        return row.is_aperiodic or (metric is not None and metric.extra.get("once", False))

    def _is_new(self, row: Obx, one: Numeric | Enumeration) -> bool:
        """A measurement that stands on the screen is sent again and again: the same time is the same measurement.

        One without a time is the last one if it has its digits.
        """
        if one.value is None:
            return True
        time, value = self._measured.get(row.id, ("", ""))
        if value == row.value and row.time in (time, ""):
            return False
        self._measured[row.id] = row.time, row.value
        return True

    def _has_said(self, code: str, text: str) -> bool:
        told = self._told.get(code)
        return told is not None and told.text == text

    def _is_due(self, code: str, one: Numeric, text: str, now: float) -> bool:
        """Limits are said when they change, when they are confirmed, and now and then."""
        is_valid = one.validity == "valid"
        told = self._told.get(code)
        if told and told.text == text and told.is_valid >= is_valid and now < told.at + SETTINGS_S:
            return False
        self._told[code] = _Told(text, is_valid, now)
        return True

    def _raw(self, row: Obx, code: str, report: Report) -> Iterator[Numeric | Enumeration]:
        """A row that no table has, as sent; not where it could tell who the patient is."""
        if _PERSONAL.fullmatch(row.id) or _PERSONAL.fullmatch(row.of):
            self._faults.append(Fault("patient_data", row.id))
            return
        is_number = row.type == "NM" and _NUMBER.fullmatch(row.value) is not None
        is_text = report.has_patient or report.kind == SNAPSHOT or row.type in ("NM", *_FREE_TEXT)
        is_withheld = not is_number and is_text
        if code not in self._unknown:
            self._faults.append(Fault("unknown_parameter", code))
            is_withheld = is_withheld or len(self._unknown) >= _MOST_UNKNOWN
        if is_withheld:
            return
        self._unknown.add(code)
        raw: Numeric | Enumeration = unknown_numeric(code, row.value)
        if not is_number:
            raw = Enumeration(
                vendor=Vendor(code, _clean(row.value)),
                validity="not_available",
                reason="unknown_code",
                value=None,
                category="setting" if report.kind in _SETTINGS else "measurement",
            )
        elif report.kind in _SETTINGS:
            raw = msgspec.structs.replace(raw, category="setting")
        time = "" if row.time == NO_TIME else row.time
        yield msgspec.structs.replace(raw, device_time=time)


def _in_unit(row: Metric, units: dict[str, str]) -> Metric:
    """The row in the unit that the monitor is set to, and what is plausible in that unit."""
    unit = units.get(row.extra.get("unit_of", ""), row.unit)
    if unit == row.unit:
        return row
    zero = 32 if unit == "[degF]" and not row.extra.get("difference") else 0
    low, high = (None if end is None else end * _FACTORS[unit] + zero for end in row.range)
    return msgspec.structs.replace(row, unit=unit, low=low, high=high)


def _is_within(value: Decimal, ends: tuple[Decimal | None, Decimal | None]) -> bool:
    low, high = ends
    return (low is None or value >= low) and (high is None or value <= high)


def _of(row: Obx) -> str:
    """The code of a row that belongs to a parameter."""
    return f"{row.id}.{row.of}" if row.of else row.id


def _short(name: str) -> str:
    """`ART-Sys` and `Sys` are one name."""
    return name.casefold().rpartition("-")[2].strip()


def _clean(text: str) -> str:
    """A text of the monitor: not too long, and nothing that cannot be shown."""
    meant = _DELIMITERS.unescape(text)[:_MOST_TEXT]
    return "".join(c if c.isprintable() else "\ufffd" for c in meant).strip()


def _alert(row: Obx, code: str, text: str, source: Literal["physiological", "technical"]) -> Alert:
    """The level says how urgent it is; the text is in the monitor's language."""
    priority = PRIORITIES.get(row.id, "unknown")
    return Alert(
        vendor=Vendor(code, _clean(text)),
        validity="valid" if priority != "unknown" else "questionable",
        reason="" if priority != "unknown" else "unknown_code",
        device_time="" if row.time == NO_TIME else row.time,
        alert=source,
        priority=priority,
        presence="on",
        vendor_priority=row.id,
    )
