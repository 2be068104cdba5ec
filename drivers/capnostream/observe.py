"""From numerics messages to observations: what is absent and why, which unit, which alarms are on.

The carbon dioxide values have a unit byte of their own. Only for mm[Hg] is it known what one count means; in kPa and
in per cent by volume they are published as sent.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec
from msgspec import Struct

from drivers.capnostream.options import Options
from drivers.contract import Fault
from drivers.mds import Mds
from drivers.observation import Alert, AnyObservation, Enumeration, Numeric, Vendor
from drivers.profile import Metric, Profile, unknown_numeric

NUMERICS_BYTES = 27
WAVE_BYTES = 4
ABSENT = 255
_UNIT, _RR, _SPO2, _FAST = 25, 6, 7, "FAST"
_WORDS = {"SLOW": 9, "CO2": 13, "SPO2": 14}
"""Bytes of the numerics message that are sets of bits."""
_MMHG = 1
_NORMAL_FAST = 0x08
"""End of breath: one of the bits of a wave message that is no condition."""
_INVALID_FAST = 0x01
"""It is about one sample of the wave, which is not published."""
_IDENTITY = re.compile(rb"V([ -~]{5}) ([0-9]{2}/[0-9]{2}/[0-9]{4}) ([0-9A-Z]{10}) {2}")
_BOARDS = {"B5": "masimo", "B3": "masimo", "B2": "nellcor"}


class _Told(Struct):
    """A limit as last published, and when."""

    text: str
    at: float


class Observer:
    """What is remembered of one capnograph; bounded by the bytes of its messages."""

    def __init__(self, profile: Profile, options: Options) -> None:
        self.mds = Mds()
        self._settings_s = options.settings_s
        self._rows = profile.by_code
        self._values = [(metric.extra["byte"], metric) for metric in profile.metric if "byte" in metric.extra]
        self._bits = [_Bit(metric) for metric in profile.metric if metric.kind == "alert"]
        self._known = {word: sum(bit.mask for bit in self._bits if bit.word == word) for word in (*_WORDS, _FAST)}
        self._known["SLOW"] |= 0x01 | 0x80
        self.restart()

    def restart(self) -> None:
        """The port was opened again, perhaps on another capnograph."""
        self.mds.restart()
        self._told: dict[str, _Told] = {}
        self._raw: dict[str, str] = {}
        self.forget()

    def forget(self) -> None:
        """Nothing came for long: what the last messages showed says nothing about the next ones."""
        self._fast = self._candidate = 0
        self._rr = -1

    def identify(self, payload: bytes) -> tuple[list[AnyObservation], list[Fault]]:
        """Who it is: version, date of the software, serial number; the first two signs of it are the SpO2 board."""
        found = _IDENTITY.fullmatch(payload)
        if found is None:
            return [], [Fault("identity", str(len(payload)))]
        version, date, serial = (text.decode("ascii") for text in found.groups())
        identity = {"software": version.strip(), "software_date": date, "serial": serial}
        if serial[:2] in _BOARDS:
            identity["spo2_board"] = _BOARDS[serial[:2]]
        return self.mds.identify(identity), []

    def observe_wave(self, payload: bytes) -> list[AnyObservation]:
        """The conditions that two wave messages agree on; no sample is published, for the interval is not known."""
        status = payload[WAVE_BYTES - 1] & ~(_NORMAL_FAST | _INVALID_FAST)
        if status != self._candidate:  # a damaged pair can shift a short message and keep its check right
            self._candidate = status
            return []
        self._fast = status
        words = {_FAST: status}
        return self.mds.values(self._other_bits(words)) + self._alerts(_FAST, words)

    def observe(self, payload: bytes, now: float) -> tuple[list[AnyObservation], list[Fault]]:
        """All that a numerics message says."""
        if str(payload[_UNIT]) not in self._rows["UNIT"].values:
            # One flipped bit can make two bytes of a stuffed one: what follows is shifted, its check may be right.
            return [], [Fault("unit", rejected=True)]
        rr, self._rr = self._rr, payload[_RR]
        if payload[_SPO2] == rr != ABSENT:
            # Seen with one firmware: the message is shifted by one byte, its check is right all the same.
            return [], [Fault("shifted")]
        self.mds.device_time = str(int.from_bytes(payload[:4], "big"))
        words = {word: payload[at] for word, at in _WORDS.items()}
        values = list(self._numbers(payload, words, now))
        others = [*self._switches(payload), *self._other_bits(words), *self._other_bytes(payload)]
        seen = self.mds.values([*values, *others]) + self._operating(values)
        return seen + self._alerts("numerics", words), []

    def _numbers(self, payload: bytes, words: Mapping[str, int], now: float) -> Iterator[Numeric | Enumeration]:
        active = [bit for bit in self._bits if words.get(bit.word, self._fast) & bit.mask]
        is_mmhg = payload[_UNIT] == _MMHG
        for at, metric in self._values:
            count = payload[at]
            text = str(count)
            if metric.category == "setting" and not self._is_due(metric.code, f"{text} {is_mmhg}", now):
                continue
            if metric.unit == "mm[Hg]" and not is_mmhg and count != ABSENT:
                yield self._timed(unknown_numeric(metric.code, text))
                continue
            yield self._number(metric, count, active)

    def _number(self, metric: Metric, count: int, active: list["_Bit"]) -> Numeric:
        sources = metric.extra.get("source", "")
        time = "" if metric.category == "setting" else self.mds.device_time
        why = "missing" if count == ABSENT else ""
        why = next((bit.absent for bit in active if bit.absent and sources == bit.word), "") or why
        if why:
            return metric.numeric(None, str(count), reason=why, device_time=time)
        doubt = next((bit.doubt for bit in active if bit.doubt and sources == "CO2"), "")
        one = metric.numeric(Decimal(count), str(count), reason=doubt, device_time=time)
        return msgspec.structs.replace(one, validity="questionable") if doubt else one

    def _is_due(self, code: str, text: str, now: float) -> bool:
        """Limits are said when they change, and now and then: as states, without the time of the message."""
        told = self._told.get(code)
        if told is not None and told.text == text and now < told.at + self._settings_s:
            return False
        self._told[code] = _Told(text, now)
        return True

    def _operating(self, values: list[Numeric | Enumeration]) -> list[AnyObservation]:
        """In use where a saturation or breaths are believed; standby where neither is and the sensor is off."""
        found = {one.vendor.code: one for one in values if one.vendor}
        spo2, rr = found["SpO2"], found["RR"]
        if spo2.value is not None or (rr.value and rr.validity == "valid"):
            return self.mds.operate("in_use")
        is_off = spo2.reason in ("sensor_off", "sensor_disconnected")
        return self.mds.operate("standby") if is_off and rr.value is None else []

    def _switches(self, payload: bytes) -> Iterator[Enumeration]:
        slow = payload[_WORDS["SLOW"]]
        states = {"PATIENT": slow & 0x01, "BOARD": slow >> 7, "UNIT": payload[_UNIT]}
        for code, state in states.items():
            if self._is_new(code, str(state)):
                yield self._rows[code].enumeration(str(state), str(state))

    def _other_bits(self, words: Mapping[str, int]) -> Iterator[Enumeration]:
        """Bits that no row has, when they change."""
        for word, value in words.items():
            other = value & ~self._known[word]
            if self._is_new(f"{word}.other", f"{other:02X}", "00"):
                yield self._unknown(f"{word}.other", f"{other:02X}")

    def _other_bytes(self, payload: bytes) -> Iterator[Enumeration]:
        """Bytes without a name, when they change."""
        others = {"BYTES.10": payload[10:13], "BYTES.26": payload[26:27], "BYTES.27": payload[NUMERICS_BYTES:]}
        for code, other in others.items():
            if self._is_new(code, other.hex(), "00" * len(other)):
                yield self._unknown(code, other.hex(" ").upper())

    def _is_new(self, code: str, text: str, nothing: str = "") -> bool:
        before = self._raw.get(code, nothing)
        self._raw[code] = text
        return text != before

    def _unknown(self, code: str, text: str) -> Enumeration:
        return Enumeration(
            vendor=Vendor(code, text),
            validity="not_available",
            reason="unknown_code",
            device_time=self.mds.device_time,
            value=None,
            category="measurement",
        )

    def _timed(self, one: Numeric) -> Numeric:
        return msgspec.structs.replace(one, device_time=self.mds.device_time)

    def _alerts(self, source: str, words: Mapping[str, int]) -> list[AnyObservation]:
        active = [bit for bit in self._bits if bit.word in words and words[bit.word] & bit.mask]
        return self.mds.alerts(source, {bit.metric.code: bit.alert(self.mds.device_time) for bit in active})


class _Bit:
    """One row of a set of bits: `CO2.01` is bit 01H of the carbon dioxide alarms."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.word, _, mask = metric.code.partition(".")
        self.mask = int(mask, 16)
        self.absent: str = metric.extra.get("absent", "")
        """Why the values of its word are absent while it is set."""
        self.doubt: str = metric.extra.get("questionable", "")
        """Why the carbon dioxide values are questionable."""

    def alert(self, time: str) -> Alert:
        """The condition, on."""
        metric = self.metric
        priority = metric.extra.get("priority", "unknown")
        return Alert(
            metric=metric.mdc,
            code=metric.mdc_code,
            vendor=Vendor(metric.code, metric.code.partition(".")[2]),
            validity="valid",
            device_time=time,
            alert=metric.extra.get("alert", "technical"),
            priority=priority,
            presence="on",
        )
