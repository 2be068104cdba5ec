"""From lines to observations: which digits are believed, which conditions are on, what is said once.

There is no checksum, and one bit is between "sensor off" and a value. So a value is valid when the line before had
one as well; the first one after a start, a silence or an absence is questionable (`unconfirmed`).
"""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from drivers.masimo_ascii.frames import SERIAL, Line, number
from drivers.mds import Mds
from drivers.observation import Alert, AnyObservation, Enumeration, Numeric, Vendor
from drivers.profile import Metric, Profile, unknown_numeric

_NORMAL_EXC = 0x800
"""Masimo SET runs: as it should be. Its absence is published raw."""
_RAW = frozenset(("DESAT", "PIDELTA", "SPHB"))
"""Fields whose unit the document does not give."""
_MAX_UNKNOWN = 16
_NOBODY = frozenset(("no_sensor", "sensor_off"))


class Observer:
    """What is remembered of one oximeter; bounded."""

    def __init__(self, profile: Profile, mds: Mds) -> None:
        self._mds = mds
        self._rows = {metric.code: metric for metric in profile.metric if metric.kind == "numeric"}
        self._bits = [_Bit(metric) for metric in profile.metric if metric.kind == "alert"]
        self._known = {word: sum(bit.mask for bit in self._bits if bit.word == word) for word in ("ALARM", "EXC")}
        self.forget()

    def forget(self) -> None:
        """The port was opened again, or nothing came for long."""
        self._had: set[str] = set()
        self._other = {"ALARM": 0, "EXC": 0}
        self._serial = ""
        self._unknown: set[str] = set()
        self._believed: set[str] = set()

    def observe(self, line: Line) -> list[AnyObservation]:
        """All that a verified line says."""
        self._mds.device_time = line.time
        active = [bit for bit in self._bits if bit.is_set(line)]
        seen = self._identity(line)
        values = list(self._values(line, active))
        seen += self._mds.values([*values, *self._unknown_fields(line), *self._unknown_bits(line)])
        seen += self._operating(values)
        return seen + self._mds.alerts("line", {bit.metric.code: bit.alert(line.time) for bit in active})

    def _identity(self, line: Line) -> list[AnyObservation]:
        """The serial number, when two lines agree on it."""
        serial = dict(line.fields).get(SERIAL, "")
        before, self._serial = self._serial, serial
        if not serial.isdecimal() or serial != before:
            return []
        return self._mds.identify({"serial": serial})

    def _operating(self, values: list[Numeric]) -> list[AnyObservation]:
        """In use where there is a saturation; standby where the device says that no sensor is on a patient."""
        spo2 = next(one for one in values if one.vendor and one.vendor.code == "SPO2")
        if spo2.validity == "valid":
            return self._mds.operate("in_use")
        return self._mds.operate("standby") if spo2.reason in _NOBODY else []

    def _values(self, line: Line, active: list["_Bit"]) -> Iterator[Numeric]:
        absent = next((bit.absent for bit in active if bit.absent), "")
        had, self._had = self._had, set()
        for key, text in line.fields:
            metric = self._rows.get(key)
            if metric is None:
                continue
            digits = number(key, text)
            if not digits or absent:
                told = digits or text
                yield metric.numeric(None, told, reason=absent or "missing", device_time=line.time)
                continue
            self._had.add(key)
            doubt = next((bit.doubt for bit in active if bit.doubt and bit.of in ("", key)), "")
            if key not in had:
                doubt = doubt or "unconfirmed"
            one = metric.numeric(Decimal(digits), digits, reason=doubt, device_time=line.time)
            yield msgspec.structs.replace(one, validity="questionable") if doubt else one

    def _unknown_fields(self, line: Line) -> Iterator[Numeric | Enumeration]:
        """Fields as sent: those without a unit, and keys that no document has once a second line has them as well."""
        keys = {key for key, _ in line.fields if key not in self._rows and key not in _RAW and key != SERIAL}
        self._believed |= set(sorted(keys & self._unknown)[: _MAX_UNKNOWN - len(self._believed)])
        self._unknown = keys
        for key, text in line.fields:
            if key in _RAW:
                raw = unknown_numeric(key, text)
                is_there = number(key, text) or "-" not in text
                yield msgspec.structs.replace(
                    raw, reason=raw.reason if is_there else "missing", device_time=line.time
                )
            elif key in self._believed:
                yield _raw(key, text, line.time)

    def _unknown_bits(self, line: Line) -> Iterator[Enumeration]:
        """Bits that no row has, when they change."""
        words = {"ALARM": line.alarm, "EXC": line.exc ^ _NORMAL_EXC}
        for word, value in words.items():
            other = value & ~self._known[word]
            if other != self._other[word]:
                self._other[word] = other
                shown = other ^ _NORMAL_EXC if word == "EXC" else other
                yield _raw(f"{word}.other", f"{shown:06X}", line.time)


class _Bit:
    """One row of a status word."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.word, _, mask = metric.code.partition(".")
        self.mask = int(mask, 16)
        self.absent: str = metric.extra.get("absent", "")
        """Why values are absent while it is set."""
        self.doubt: str = metric.extra.get("questionable", "")
        """Why they are questionable; `of` names the only one, where it is not all."""
        self.of: str = metric.extra.get("of", "")

    def is_set(self, line: Line) -> bool:
        """Whether the line has it."""
        return bool((line.alarm if self.word == "ALARM" else line.exc) & self.mask)

    def alert(self, time: str) -> Alert:
        """The condition, on."""
        metric = self.metric
        return Alert(
            metric=metric.mdc,
            code=metric.mdc_code,
            vendor=Vendor(metric.code, metric.code.partition(".")[2]),
            validity="valid",
            device_time=time,
            alert=metric.extra.get("alert", "technical"),
            priority=metric.extra.get("priority", "unknown"),
            presence="on",
        )


def _raw(code: str, text: str, time: str) -> Enumeration:
    return Enumeration(
        vendor=Vendor(code, text),
        validity="not_available",
        reason="unknown_code",
        device_time=time,
        value=None,
        category="measurement",
    )
