"""From readings to observations: what is absent and why, what is questionable, what is said when it changes.

A display value (-D) is held for ten seconds after the finger is out: no number counts while the sensor alarm is on.
DF8 has no sum: a number of it is valid when the reading before had the same one, in the same state.
"""

from collections import deque
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from drivers.mds import Mds
from drivers.nonin.reading import (
    ARTEFACT,
    MEMORY,
    NO_MEASUREMENT,
    OUT_OF_TRACK,
    SENSOR_ALARM,
    Reading,
)
from drivers.observation import Alert, AnyObservation, Enumeration, Numeric, Vendor
from drivers.profile import Metric, Profile

_ABSENT = {SENSOR_ALARM: "sensor_off", OUT_OF_TRACK: "out_of_track", NO_MEASUREMENT: "no_measurement"}
_DOUBT = {MEMORY: "from_memory", ARTEFACT: "artefact"}
_SATURATIONS = ("SpO2", "SPO2")
_REMEMBERED = 64
"""Spot measurements that are known when they come again."""
_NOTHING = frozenset("0 ")


class Observer:
    """What is remembered of one oximeter; bounded by what its format can name."""

    def __init__(self, profile: Profile, mds: Mds) -> None:
        self._mds = mds
        data_format = profile.options["format"]
        self._must_agree = data_format == "df8"
        self._has_no_sum = data_format in ("df8", "ascii")
        self._is_spot = data_format == "df13"
        self._rows = profile.by_code
        self._alerts = [metric for metric in profile.metric if metric.kind == "alert"]
        self._switches = [m for m in profile.metric if m.kind == "enumeration" and "on" in m.values]
        self.restart()

    def restart(self) -> None:
        """The port was opened again, perhaps on another oximeter: its spot measurements are not known."""
        self._spots: deque[Reading] = deque(maxlen=_REMEMBERED)
        self.forget()

    def forget(self) -> None:
        """Nothing came for long."""
        self._before: dict[str, tuple[str, str]] = {}
        self._switched: dict[str, str] = {}
        self._candidate: dict[str, str] = {}
        self._others: dict[str, str] = {}

    def is_repeated(self, reading: Reading) -> bool:
        """Whether this spot measurement was read before: the oximeter sends it again out of its memory."""
        if not self._is_spot or not reading.time:
            return False
        same = msgspec.structs.replace(reading, flags=reading.flags & {NO_MEASUREMENT}, others=())
        if same in self._spots:
            return True
        self._spots.append(same)
        return False

    def observe(self, reading: Reading, flags: frozenset[str] = frozenset()) -> list[AnyObservation]:
        """All that a verified reading says; `flags` were set since the last one, for alerts alone."""
        self._mds.device_time = reading.time
        values = list(self._values(reading))
        seen = self._mds.values([*values, *self._words(reading), *self._raw(reading)])
        seen += self._operating(values)
        active = {m.code: _alert(m, reading.time) for m in self._alerts if m.code in reading.flags | flags}
        return seen + self._mds.alerts("flags", active)

    def _values(self, reading: Reading) -> Iterator[Numeric]:
        absent = next((why for flag, why in _ABSENT.items() if flag in reading.flags), "")
        doubt = next((why for flag, why in _DOUBT.items() if flag in reading.flags), "")
        before, self._before = self._before, {}
        for code, text in reading.values:
            metric = self._rows[code]
            if absent or not text.isdecimal() or text == str(metric.extra.get("missing", "")):
                yield metric.numeric(None, text, reason=absent or "missing", device_time=reading.time)
                continue
            self._before[code] = (text, doubt)
            why = doubt
            if self._must_agree and before.get(code) != (text, doubt):
                why = why or "unconfirmed"
            one = metric.numeric(Decimal(text), text, reason=why, device_time=reading.time)
            yield msgspec.structs.replace(one, validity="questionable") if why else one

    def _operating(self, values: list[Numeric]) -> list[AnyObservation]:
        """In use where a saturation is believed; standby where the sensor is off."""
        spo2 = next(one for one in values if one.vendor and one.vendor.code in _SATURATIONS)
        if spo2.validity == "valid":
            return self._mds.operate("in_use")
        return self._mds.operate("standby") if spo2.reason == "sensor_off" else []

    def _words(self, reading: Reading) -> Iterator[Enumeration]:
        """Words and switches, when they change; without a sum, when two readings agree."""
        now = dict(reading.words)
        now |= {metric.code: "on" if metric.code in reading.flags else "off" for metric in self._switches}
        for code, word in now.items():
            agreed = not self._has_no_sum or self._candidate.get(code) == word
            self._candidate[code] = word
            if agreed and self._switched.get(code) != word:
                self._switched[code] = word
                yield self._rows[code].enumeration(word, word, device_time=reading.time)

    def _raw(self, reading: Reading) -> Iterator[Enumeration]:
        """What nobody has named, when it changes."""
        for code, text in reading.others:
            before = self._others.get(code)
            if text == before or (before is None and set(text) <= _NOTHING):
                continue
            self._others[code] = text
            yield Enumeration(
                vendor=Vendor(code, text),
                validity="not_available",
                reason="unknown_code",
                device_time=reading.time,
                value=None,
                category="measurement",
            )


def _alert(metric: Metric, time: str) -> Alert:
    return Alert(
        metric=metric.mdc,
        code=metric.mdc_code,
        vendor=Vendor(metric.code),
        validity="valid",
        device_time=time,
        alert=metric.extra.get("alert", "technical"),
        priority=metric.extra.get("priority", "unknown"),
        presence="on",
    )
