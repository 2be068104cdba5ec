"""From bed messages to observations: which numbers are values, why one is absent or doubted, what is news.

The code of a value is its parameter and its place in the entry: `2D.0` is the first number of parameter 2DH. What
stands still is said when it changes: limits, states, a cuff pressure (it stays on the screen until the next one).
"""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import msgspec
from msgspec import Struct

from drivers.ge_dash.frames import Entry, Parameters
from drivers.mds import Mds
from drivers.observation import AnyObservation, Enumeration, Numeric, Validity, Vendor
from drivers.profile import Metric, Profile, unknown_numeric

SPECIAL: dict[int, tuple[str, Validity]] = {
    -32768: ("invalid", "not_available"),
    -32767: ("missing", "not_available"),
    -32766: ("draw", "not_available"),
    -32765: ("flush", "not_available"),
    -32764: ("zeroing", "calibration"),
    -32763: ("calibrating", "calibration"),
    -32762: ("no_pulse", "not_available"),
    -32761: ("sensor_failure", "not_available"),
}
"""GESerial.java, the constants INVALID to SENSOR_FAIL."""
LAST_SPECIAL = -32513
"""VitalSignPacketParser.cs takes no number whose first octet is 80H."""
CUFF = 0x18
IN_USE = frozenset({"3A.0", "22.0", "2D.0", "2D.1"})
"""Heart rate, respiratory rate, saturation, pulse."""
ALARM_STATE, ADMISSION = "ALARM_STATE", "ADMISSION"
_Told = tuple[Decimal | str | None, str, str, int]


class _Cuff(Struct):
    """The measurement that stands on the screen."""

    raw: tuple[int, int, int]
    number: int
    is_first: bool
    """It stood there when the box began to listen: its age is not known."""


class Observer:
    """What is remembered of one monitor; bounded by what one datagram can hold."""

    def __init__(self, profile: Profile, mds: Mds) -> None:
        self._rows = profile.by_code
        self._mds = mds
        self._cuffs = 0
        self.forget()

    def forget(self) -> None:
        """Nothing that was said before counts any more."""
        self._said: dict[str, _Told] = {}
        self._cuff: _Cuff | None = None

    def observe(self, seen: Parameters) -> list[AnyObservation]:
        """What is news in one datagram."""
        times = Counter(entry.code for entry in seen.entries)
        met: Counter[int] = Counter()
        self._look_at_cuff(seen.entries)
        now: dict[str, Numeric | Enumeration] = {}
        for entry in seen.entries:
            met[entry.code] += 1
            name = f"{entry.code:02X}" + (f"#{met[entry.code]}" if met[entry.code] > 1 else "")
            now |= self._entry(name, entry, is_alone=times[entry.code] == 1)
        for code, raw in ((ALARM_STATE, str(seen.state)), (ADMISSION, str(seen.admission))):
            now[code] = self._rows[code].enumeration(raw, raw)
        gone = [self._absent(code, "not_sent") for code in self._said if code not in now]
        news = [one for code, one in now.items() if self._is_news(code, one)]
        self._said = {code: self._told(code, one) for code, one in now.items()}
        is_used = any(now[code].value is not None for code in IN_USE & now.keys())
        return [*news, *(one for one in gone if one), *self._mds.operate("in_use" if is_used else "unknown")]

    def withdraw(self, reason: str) -> list[AnyObservation]:
        """No value that was said may be believed any more."""
        gone = [self._absent(code, reason) for code, told in self._said.items() if told[0] is not None]
        self.forget()
        return [one for one in gone if one]

    def _look_at_cuff(self, entries: tuple[Entry, ...]) -> None:
        """Whether the three pressures are another measurement than before."""
        raw = next((entry.values for entry in entries if entry.code == CUFF), None)
        if raw is None:
            self._cuff = None
        elif self._cuff is None or self._cuff.raw != raw:
            self._cuffs += 1
            self._cuff = _Cuff(raw, self._cuffs, is_first=self._cuff is None)

    def _entry(self, name: str, entry: Entry, is_alone: bool) -> Iterator[tuple[str, Numeric | Enumeration]]:
        """What stands in one entry, by code; of a parameter that stands there twice nobody knows which one counts."""
        for place, raw in enumerate(entry.values):
            code = f"{name}.{place}"
            row = self._rows.get(code)
            if row is None or not row.unit:
                if (one := self._raw(code, row, raw)) is not None:
                    yield code, one
            elif not is_alone:
                yield code, row.numeric(None, str(raw), reason="duplicate")
            else:
                yield code, self._pressure(row, place, entry.values) if entry.code == CUFF else _number(row, raw)
                yield from self._limits(code, entry.limits[place])
        yield f"{name}.status", _word(f"{name}.status", f"{entry.status:04X}")

    def _pressure(self, row: Metric, place: int, raw: tuple[int, int, int]) -> Numeric:
        """Mean, systolic, diastolic; only numbers that stand in that order are what they are said to be.

        The public programs do not agree which of the first and the third is the mean: the numbers decide.
        """
        value = _number(row, raw[place])
        if value.value is None:
            return value
        mean, systolic, diastolic = raw
        is_known = diastolic >= 0 and diastolic <= mean <= systolic
        if not is_known and (place != 1 or systolic < max(mean, diastolic)):
            return row.numeric(None, str(raw[place]), reason="order")
        if self._cuff is not None and self._cuff.is_first:
            return msgspec.structs.replace(value, validity="questionable", reason="age_unknown")
        return value

    def _limits(self, code: str, limits: tuple[int, int]) -> Iterator[tuple[str, Numeric]]:
        for raw, name in zip(limits, (f"{code}.low", f"{code}.high"), strict=True):
            if (row := self._rows.get(name)) is not None:
                value = _number(row, raw)
                if value.value is not None and limits[0] > limits[1]:
                    value = msgspec.structs.replace(value, validity="questionable", reason="contradiction")
                yield name, value

    def _raw(self, code: str, row: Metric | None, raw: int) -> Numeric | None:
        """A number whose unit nobody knows, as it was sent; a place that never held one is not mentioned."""
        if raw > LAST_SPECIAL:
            reason = "unit_unknown"
        elif code in self._said:
            reason = SPECIAL.get(raw, ("special_value", "not_available"))[0]
        else:
            return None
        return row.numeric(None, str(raw), reason=reason) if row else _unknown(code, str(raw), reason)

    def _absent(self, code: str, reason: str) -> Numeric | None:
        row = self._rows.get(code)
        if code.endswith(".status") or (row is not None and row.kind != "numeric"):
            return None
        return row.numeric(None, "", reason=reason) if row else _unknown(code, "", reason)

    def _told(self, code: str, one: Numeric | Enumeration) -> _Told:
        is_cuff = code.startswith(f"{CUFF:02X}.") and code[-1].isdigit()
        text = one.vendor.text if one.vendor else ""
        return one.value, one.reason, text, self._cuffs if is_cuff else 0

    def _is_news(self, code: str, one: Numeric | Enumeration) -> bool:
        stands_still = one.value is None or one.category == "setting" or code.startswith(f"{CUFF:02X}.")
        is_state = isinstance(one, Enumeration)
        return not (stands_still or is_state) or self._said.get(code) != self._told(code, one)


def _number(row: Metric, raw: int) -> Numeric:
    """A number of the table; below zero one program takes nothing and the other a value, so it is none."""
    text = str(raw)
    if raw <= LAST_SPECIAL:
        reason, validity = SPECIAL.get(raw, ("special_value", "not_available"))
        return row.numeric(None, text, reason=reason, validity=validity)
    return row.numeric(Decimal(raw), text) if raw >= 0 else row.numeric(None, text, reason="negative")


def _unknown(code: str, text: str, reason: str) -> Numeric:
    return msgspec.structs.replace(unknown_numeric(code, text), reason=reason)


def _word(code: str, text: str) -> Enumeration:
    """Bits that no source explains, as they were sent."""
    return Enumeration(
        vendor=Vendor(code, text),
        validity="not_available",
        reason="unknown_code",
        value=None,
        category="measurement",
    )
