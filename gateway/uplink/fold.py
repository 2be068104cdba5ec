"""From observations to columns. What a column cannot hold exactly stays in the stem, so nothing is ever lost."""

from collections.abc import Iterable, Sequence
from operator import attrgetter, sub
from typing import Any

import msgspec
from msgspec import Struct

from drivers.observation import AnyObservation, ClockTrust, Numeric, Vendor, Waveform, to_json
from gateway.uplink.body import FURTHEST, LONGEST_FACE, MOST_SAMPLES, MOST_TEXTS, Body, Source, has_column, instant_of
from gateway.uplink.columns import Scatter, differences, pack
from gateway.uplink.forms import EACH, LITERAL, MIXED, SHOWN, WORDS, Form, digits_of, face_of, form_of, words_of

ORDERS = (1, 2, 3)
"""How often the differences of a curve may be taken; the smoother it is, the more often pays."""

_SOURCE = Source.__struct_fields__
_MOMENT = ("at", "clock", "device_time")
_FRAME = ("gateway", "epoch", "lane", "seq")
_CONTEXT = attrgetter(*_SOURCE, *_MOMENT)
_NUMERIC = attrgetter(
    *(name for name in Numeric.__struct_fields__ if name not in (*_SOURCE, *_MOMENT, *_FRAME, "value", "vendor")),
    *(f"vendor.{name}" for name in Vendor.__struct_fields__ if name != "text"),
)
_NOWHERE: dict[str, Any] = {
    **dict.fromkeys(("device", "place", "driver", "gateway"), ""),
    **dict.fromkeys(("mode", "source_auth", "lane"), None),
    **dict.fromkeys(("epoch", "seq"), 0),
}
LONGEST_S = 1e11
"""Of monotonic time in a column; a box's is some years at most."""
_NO_MONO = next(field.default for field in msgspec.structs.fields(ClockTrust) if field.name == "mono_s")
"""The very object: msgspec leaves out a default by its identity."""
_NEVER: dict[str, Any] = {"at": "", "clock": None, "device_time": ""}


class _Batch(Struct):
    """Observations of one source and moment; without a moment their stems hold their times themselves."""

    source: int
    pattern: list[int]
    at: int | None = None
    trust: int = -1
    offset: int | None = None
    """`at` less the monotonic milliseconds: when the box started."""
    face: int = -1
    face_numbers: list[int] = []


class _Moment(Struct):
    at: int
    trust: ClockTrust | None
    offset: int | None


def fold(observations: Iterable[AnyObservation]) -> Body | None:
    """Everything in columns; None where that would be beyond the bounds of a body."""
    folder = _Folder()
    folder.take(observations)
    return folder.body()


class _Folder:
    def __init__(self) -> None:
        self._sources: dict[tuple[Any, ...], int] = {}
        self._trusts: dict[ClockTrust | None, int] = {}
        self._faces: dict[str, int] = {}
        self._stems: dict[Any, int] = {}
        self._stem_texts: list[bytes] = []
        self._batches: list[_Batch] = []
        self._columns: list[dict[int, list[Any]]] = []
        """For each source its series by stem."""

    def take(self, observations: Iterable[AnyObservation]) -> None:
        last: tuple[Any, ...] | None = None
        batch, columns, has_moment = _Batch(0, []), dict[int, list[Any]](), False
        for seen in observations:
            context = _CONTEXT(seen)
            is_odd = type(seen) is Waveform and not _fits(seen)
            if context != last or is_odd:
                batch = self._open(context, None if is_odd else _moment(*context[5:]))
                columns, has_moment = self._columns[batch.source], batch.at is not None
                last = None if is_odd else context
            if has_moment and has_column(seen):
                stem = self._column_stem(seen)
                column = columns.get(stem)
                if column is None:
                    column = columns[stem] = []
                column.append(seen)
            else:
                stem = self._stem(_bare(seen, **(_NEVER if has_moment else {})))
            batch.pattern.append(stem)

    def _column_stem(self, seen: AnyObservation) -> int:
        """The stem without what goes into a column; of a numeric it is found without being written again."""
        if type(seen) is not Numeric or seen.vendor is None:
            return self._stem(_bare(seen, samples=(), start=0, marks=(), **_NEVER))
        key = _NUMERIC(seen)
        stem = self._stems.get(key)
        if stem is None:
            bare = Vendor(**(msgspec.structs.asdict(seen.vendor) | {"text": ""}))
            stem = self._add_stem(key, _bare(seen, value=0, vendor=bare, **_NEVER))
        return stem

    def _stem(self, bare: bytes) -> int:
        stem = self._stems.get(bare)
        return self._add_stem(bare, bare) if stem is None else stem

    def _add_stem(self, key: Any, bare: bytes) -> int:
        self._stems[key] = number = len(self._stem_texts)
        self._stem_texts.append(bare)
        return number

    def _open(self, context: tuple[Any, ...], moment: _Moment | None) -> _Batch:
        source = self._sources.setdefault(context[:5], len(self._sources))
        if source == len(self._columns):
            self._columns.append({})
        batch = _Batch(source, [])
        self._batches.append(batch)
        if moment is not None:
            batch.at, batch.offset = moment.at, moment.offset
            batch.trust = self._trusts.setdefault(moment.trust, len(self._trusts))
            if context[7]:
                zeros, batch.face_numbers = face_of(context[7])
                batch.face = self._faces.setdefault(zeros, len(self._faces))
        return batch

    def body(self) -> Body | None:
        patterns: dict[tuple[int, ...], int] = {}
        of_batches = [patterns.setdefault(tuple(each.pattern), len(patterns)) for each in self._batches]
        listed: list[int] = [len(patterns)]
        for pattern in patterns:
            listed.append(len(pattern))
            before = -1
            for stem in pattern:
                listed.append(stem - before - 1)
                before = stem
        scatter = Scatter()
        moments = self._add_moments(scatter)
        columns = _Columns(scatter)
        for stem in range(len(self._stem_texts)):
            group = [mine[stem] for mine in self._columns if stem in mine]
            if group:
                columns.add(group)
        if columns.samples > MOST_SAMPLES or len(columns.texts) > MOST_TEXTS:
            return None
        each_batch = self._batches
        return Body(
            sources=[Source(*one) for one in self._sources],
            trusts=list(self._trusts),
            stems=b"[" + b",".join(self._stem_texts) + b"]",
            patterns=pack(listed),
            batches=pack(
                [
                    len(of_batches),
                    *(each.source for each in each_batch),
                    *of_batches,
                    *(each.trust + 1 for each in each_batch),
                    *(each.face + 1 for each in each_batch),
                ]
            ),
            moments=pack(moments),
            faces=list(self._faces),
            face_numbers=pack(self._face_numbers()),
            forms=list(columns.forms),
            series=pack(columns.series),
            shapes=pack(columns.shapes),
            texts=columns.texts,
            scatter=scatter.packed(),
        )

    def _add_moments(self, scatter: Scatter) -> list[int]:
        """Source by source the first instant and the usual step, last the first offset; the rest scatters."""
        firsts: list[int] = []
        rest: list[int] = []
        base = 0
        for source in range(len(self._columns)):
            mine = [each.at for each in self._batches if each.source == source and each.at is not None]
            if not mine:
                continue
            first, *steps = differences(mine)
            firsts.append(first - base)
            base = first
            if steps:
                usual = sorted(steps)[len(steps) // 2]
                firsts.append(usual)
                rest += [step - usual for step in steps]
        offsets = differences([each.offset for each in self._batches if each.offset is not None])
        scatter.add(rest)
        scatter.add(offsets[1:])
        return firsts + offsets[:1]

    def _face_numbers(self) -> list[int]:
        """For each source and face, place by place."""
        groups: dict[tuple[int, int], list[list[int]]] = {}
        for each in self._batches:
            if each.face_numbers:
                groups.setdefault((each.source, each.face), []).append(each.face_numbers)
        return [
            one for rows in groups.values() for place in zip(*rows, strict=True) for one in differences(list(place))
        ]


class _Columns:
    """Writes the series of one stem after those of the other."""

    def __init__(self, scatter: Scatter) -> None:
        self._scatter = scatter
        self.forms: dict[Form, int] = {}
        self.series: list[int] = []
        """For each series its form, or how often differences were taken."""
        self.shapes: list[int] = []
        self.texts: list[str] = []
        self.samples = 0

    def add(self, group: Sequence[Sequence[Any]]) -> None:
        """All series of one stem, by source."""
        if type(group[0][0]) is Numeric:
            self._add_numerics(group)
        else:
            for column in group:
                self._add_waveforms(column)

    def _add_numerics(self, group: Sequence[Sequence[Numeric]]) -> None:
        if not self._add_alike(group):
            self._add_each(group)

    def _add_alike(self, group: Sequence[Sequence[Numeric]]) -> bool:
        """All series at once if one form fits every value: devices of one kind write alike. False if none does."""
        values = [str(seen.value) for column in group for seen in column]
        digits, whole, _each = digits_of(values)
        if digits < 0 or not -FURTHEST <= min(whole) <= max(whole) <= FURTHEST:
            return False
        texts = [seen.vendor.text for column in group for seen in column if seen.vendor is not None]
        form = form_of(digits, values, texts)
        if form.text != SHOWN:
            return False
        self.series += [self.forms.setdefault(form, len(self.forms))] * len(group)
        firsts: list[int] = []
        rest: list[int] = []
        at = 0
        for column in group:
            end = at + len(column)
            firsts.append(whole[at])
            rest += map(sub, whole[at + 1 : end], whole[at : end - 1])
            at = end
        self._scatter.add(differences(firsts))
        self._scatter.add(rest)
        return True

    def _add_each(self, group: Sequence[Sequence[Numeric]]) -> None:
        firsts: list[int] = []
        rest: list[int] = []
        more: list[list[int]] = []
        for column in group:
            values = [str(seen.value) for seen in column]
            texts = [seen.vendor.text for seen in column if seen.vendor is not None]
            digits, whole, each = digits_of(values)
            if digits != LITERAL and not -FURTHEST <= min(whole) <= max(whole) <= FURTHEST:
                digits = LITERAL
            form = form_of(digits, values, texts)
            self.series.append(self.forms.setdefault(form, len(self.forms)))
            if digits == LITERAL:
                self.texts += values
            else:
                firsts.append(whole[0])
                rest += map(sub, whole[1:], whole[:-1])
            if digits == MIXED:
                more.append(each)
            if form.text == EACH:
                self.texts += texts
            elif form.text == WORDS:
                more.append(differences([words_of(text) for text in texts]))
        for numbers in differences(firsts), rest, *more:
            self._scatter.add(numbers)

    def _add_waveforms(self, column: Sequence[Waveform]) -> None:
        samples: list[int] = []
        expected = 0
        for seen in column:
            holes = _holes(seen.samples)
            self.shapes += [len(seen.samples), seen.start - expected, len(holes) // 2, *holes, len(seen.marks)]
            self.shapes += differences([mark.at for mark in seen.marks])
            expected = seen.start + len(seen.samples)
            self.texts += [mark.event for mark in seen.marks]
            samples += [sample for sample in seen.samples if sample is not None]
            self.samples += len(seen.samples)
        tried = [(order, differences(samples, order)) for order in ORDERS]
        order, least = min(tried, key=lambda each: sum(map(int.bit_length, each[1])))
        self.series.append(order)
        self._scatter.add(least)


def _bare(seen: AnyObservation, **changes: Any) -> bytes:
    return to_json(msgspec.structs.replace(seen, **_NOWHERE, **changes))


def _moment(at: str, clock: ClockTrust | None, device_time: str) -> _Moment | None:
    """When it came, in whole milliseconds; None where that would not give back the same."""
    instant = instant_of(at)
    if instant is None or len(device_time) > LONGEST_FACE:
        return None
    if clock is None:
        return _Moment(instant, None, None)
    if not 0 < abs(clock.mono_s) < LONGEST_S:  # 0, -0 and none at all are alike
        return None
    mono_ms = round(clock.mono_s * 1000)
    if mono_ms / 1000 != clock.mono_s:
        return None
    return _Moment(instant, msgspec.structs.replace(clock, mono_s=_NO_MONO), instant - mono_ms)


def _fits(seen: Waveform) -> bool:
    """Whether every number of a waveform is of a size for a column."""
    largest = FURTHEST >> 3  # each order may double it
    told = [seen.start, *(mark.at for mark in seen.marks), *(one for one in seen.samples if one is not None)]
    return -largest <= min(told) <= max(told) <= largest


def _holes(samples: Sequence[int | None]) -> list[int]:
    """For each hole the samples since the one before, and its length."""
    if None not in samples:
        return []
    found: list[int] = []
    end = at = 0
    while at < len(samples):
        if samples[at] is None:
            begin = at
            while at < len(samples) and samples[at] is None:
                at += 1
            found += [begin - end, at - begin]
            end = at
        else:
            at += 1
    return found
