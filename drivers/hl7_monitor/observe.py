"""From results to observations, by the dialect's table; what is not in it is published under the sender's own code.

Text is never published: a sender may put a name in it. Nor is what stands in any segment but MSH-3, MSH-4 and OBX.
"""

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import msgspec
from msgspec import Struct

from drivers.contract import Fault
from drivers.hl7_monitor.messages import Header, Report, Result
from drivers.hl7_monitor.options import Options
from drivers.mds import Mds
from drivers.observation import AnyObservation, Enumeration, Numeric, Vendor
from drivers.profile import Metric, Profile, unknown_numeric

MAX_CODES = 2000
"""So many of a sender's codes are known at once, over all beds; another one is counted and not published."""
MAX_BEDS = 64
MAX_TEXT = 128
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(?:\.[0-9]{1,9})?")
_NO_NUMBER = re.compile(r"[-+.,*?#<>=0-9 ]{1,32}")
"""What may stand in the place of a number and still be shown."""
_NUMERIC, _CODED = "NM", frozenset(("SN", "CE", "CWE", "CNE"))
_EMPTY = ("", '""')
_SEVERAL = " "
"""In the place of a sub id (which has no space): the code stood twice in one message."""
_GONE = {"X": "not_obtained", "I": "not_obtained", "N": "not_obtained", "O": "not_obtained", "S": "not_obtained"} | {
    "D": "withdrawn",
    "W": "withdrawn",
    "U": "not_obtained",
}
"""Status of the result: a value that is none (HL7 table 0085)."""
_PRELIMINARY = "P"
_PLAIN_FLAGS = frozenset(("L", "H", "LL", "HH", "<", ">", "N", "A", "AA", "U", "D", "B", "W"))
"""Flags that say how a value stands to its limits or how it moves (HL7 table 0078); another makes it questionable."""


class _Bed(Struct):
    """One bed of a sender, and when it last told something."""

    mds: Mds
    last: float


class Observer:
    """What is remembered of one sender; bounded."""

    def __init__(self, profile: Profile, options: Options) -> None:
        self.mds = Mds()
        self._options = options
        self._omitted, self._invalid = options.omitted, options.invalid_texts
        self._rows = profile.by_code
        self._stale_after_s = profile.protocol.stale_after_s
        self._last = 0.0
        self._beds: dict[str, _Bed] = {}
        self._told: dict[tuple[str, str], Result | None] = {}
        self._sub_ids: dict[tuple[str, str], str] = {}
        self._bed = ""

    def restart(self, now: float) -> None:
        """The sender called again, perhaps another one."""
        self._last, self._bed = now, ""
        self._beds.clear()
        self._forget()

    def _forget(self) -> None:
        """Nothing that was read counts for what comes next."""
        self.mds.restart()
        self._told.clear()
        self._sub_ids.clear()

    def refuse(self, header: Header, report: Report) -> Fault | None:
        """Why nothing of a message may be published under this device."""
        if self._options.application and header.application != self._options.application:
            return Fault("wrong_device")
        if header.processing != "P":
            return Fault("not_production", header.processing)
        if self._options.beds == "many":
            if not report.bed or len(report.bed) > MAX_TEXT:
                return Fault("no_bed")
            has_room = report.bed in self._beds or len(self._beds) < MAX_BEDS or self._silent_bed()
            return None if has_room else Fault("too_many_beds")
        is_other = report.bed and self._bed and report.bed != self._bed
        return Fault("other_bed") if is_other and self.mds.connection != "stale" else None

    def wrong_device(self, header: Header) -> list[AnyObservation]:
        """The sender is not the one that the configuration names."""
        return self.mds.link("connected") + self.mds.identify(_identity(header), "wrong_device")

    def observe(self, header: Header, report: Report, now: float) -> tuple[list[AnyObservation], list[Fault]]:
        """All that a message says."""
        self._last = now
        if self._options.beds == "one" and report.bed not in ("", self._bed):
            if self._bed:
                self._forget()
            self._bed = report.bed
        seen = self.mds.link("connected") + self.mds.identify(_identity(header))
        mds = self.mds
        if self._options.beds == "many":
            mds = self._slot(report.bed, now)
            seen += mds.link("connected")
        left_out: Counter[str] = Counter()
        seen += mds.values(list(self._values(report, left_out)))
        return seen, [Fault(reason, str(count)) for reason, count in left_out.items()]

    def _slot(self, bed: str, now: float) -> Mds:
        """The bed's own MDS; where there is no room for it, a bed that is silent is forgotten."""
        if bed not in self._beds and len(self._beds) == MAX_BEDS:
            gone = self._silent_bed()
            self._beds.pop(gone, None)
            self._told = {key: one for key, one in self._told.items() if key[0] != gone}
            self._sub_ids = {key: one for key, one in self._sub_ids.items() if key[0] != gone}
        slot = self._beds.setdefault(bed, _Bed(Mds(bed), now))
        slot.last = now
        return slot.mds

    def _silent_bed(self) -> str:
        return next((name for name, bed in self._beds.items() if bed.mds.connection == "stale"), "")

    def _lines(self) -> list[tuple[Mds, float]]:
        """The beds and the line itself, with the time of the last message."""
        return [*((bed.mds, bed.last) for bed in self._beds.values()), (self.mds, self._last)]

    def stale_at(self) -> list[float]:
        """When the line, or a bed of it, has been silent for too long."""
        return [last + self._stale_after_s for mds, last in self._lines() if mds.connection != "stale"]

    def silence(self, now: float) -> list[AnyObservation]:
        """Nothing came for long from the line or from a bed of it."""
        overdue = [mds for mds, last in self._lines() if now >= last + self._stale_after_s]
        return [seen for mds in overdue for seen in mds.link("stale", "silence")]

    def leave(self) -> list[AnyObservation]:
        """The box does not listen any more."""
        return [seen for mds, _last in self._lines() for seen in mds.link("disconnected", "stopped")]

    def _values(self, report: Report, left_out: Counter[str]) -> Iterator[Numeric | Enumeration]:
        seen = Counter(result.code for result in report.results)
        for result in report.results:
            if result.code in self._omitted:
                continue
            key = (report.bed, result.full_code)
            if key not in self._told and len(self._told) == MAX_CODES:
                left_out["too_many_codes"] += 1
            elif result.kind != _NUMERIC and result.kind not in _CODED:
                left_out["text_not_kept"] += 1
            elif len(result.value) + len(result.unit_text) >= MAX_TEXT:
                left_out["long_text"] += 1
            elif not result.has_own_time or self._told.get(key) != result:
                one, is_told = self._value(report.bed, result, seen[result.code] > 1)
                # A spot measurement is sent again with its own time until there is another one: it is said once.
                self._told[key] = result if result.has_own_time and is_told else None
                yield one

    def _value(self, bed: str, result: Result, is_twice: bool) -> tuple[Numeric | Enumeration, bool]:
        """What is published, and whether that is all that can be said of it."""
        is_confirmed = self._is_confirmed(bed, result, is_twice)
        metric = self._rows.get(result.full_code)
        if metric is None and not is_twice and self._sub_ids[bed, result.code] != _SEVERAL:
            metric = self._rows.get(result.code)
        if metric is None or result.kind != _NUMERIC or not _is_meant(metric, result):
            return _raw(result), True
        one = self._numeric(metric, result)
        if one.validity == "valid" and not is_confirmed:
            return msgspec.structs.replace(one, validity="questionable", reason="unconfirmed"), False
        return one, True

    def _is_confirmed(self, bed: str, result: Result, is_twice: bool) -> bool:
        """Whether the message before that had this code had it once and with the same sub id.

        There is no checksum, and one code with two sub ids is two measurements: the first one that comes alone may be
        either. A code that was seen twice in one message stays so until the sender calls again.
        """
        key = (bed, result.code)
        before = self._sub_ids.get(key)
        if before != _SEVERAL:
            self._sub_ids[key] = _SEVERAL if is_twice else result.sub_id
        return before in (result.sub_id, _SEVERAL)

    def _numeric(self, metric: Metric, result: Result) -> Numeric:
        text = _shown(result.value)
        if result.value in _EMPTY or result.value in self._invalid or result.value in metric.extra.get("invalid", ()):
            return metric.numeric(None, text, reason="missing", device_time=result.time)
        if result.status in _GONE:
            return metric.numeric(None, text, reason=_GONE[result.status], device_time=result.time)
        if _NUMBER.fullmatch(result.value) is None:
            return metric.numeric(None, text, reason="not_numeric", device_time=result.time)
        one = metric.numeric(Decimal(result.value), text, device_time=result.time)
        if any(flag not in _PLAIN_FLAGS for flag in result.flags):
            return msgspec.structs.replace(one, validity="questionable", reason="flagged")
        return msgspec.structs.replace(one, validity="ongoing") if result.status == _PRELIMINARY else one


def _identity(header: Header) -> dict[str, str]:
    found = {"application": header.application, "facility": header.facility, "hl7": header.version}
    return {key: text[:MAX_TEXT] for key, text in found.items() if text}


def _is_meant(metric: Metric, result: Result) -> bool:
    """Whether the sender's own words agree with the row: its unit always, its name where the row has one.

    `extra.units` lists the unit texts (OBX-6) that a dialect has, an empty one among them where it sends none.
    Without it the unit is the standard's code or the UCUM unit; `extra.named` asks for the reference id as the name.
    """
    term = metric.term
    units = metric.extra.get("units")
    if units is not None:
        is_unit = result.unit_text in units
    else:
        is_unit = term is not None and result.unit[0] in (str(term.unit_code), term.ucum) and term.ucum == metric.unit
    return is_unit and (not metric.extra.get("named") or result.name == metric.mdc)


def _raw(result: Result) -> Numeric | Enumeration:
    """Under the sender's own code: the value and, after a space, the unit as sent; no value."""
    text = _shown(result.value) if result.kind == _NUMERIC else result.value
    if result.unit_text:
        text = f"{text} {result.unit_text}"
    raw: Numeric | Enumeration = unknown_numeric(result.full_code, text)
    if result.kind != _NUMERIC:
        raw = Enumeration(
            vendor=Vendor(result.full_code, text),
            validity="not_available",
            reason="unknown_code",
            value=None,
            category="measurement",
        )
    why = "missing" if result.value in _EMPTY else raw.reason
    return msgspec.structs.replace(raw, reason=why, device_time=result.time)


def _shown(text: str) -> str:
    return text if _NO_NUMBER.fullmatch(text) else ""
