"""From columns back to observations. Total: what is not a body of this format raises `Malformed`, nothing else."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, groupby, islice, repeat
from operator import itemgetter
from typing import Any

import msgspec

from drivers.observation import AnyObservation, Mark, Waveform
from gateway.uplink.body import FURTHEST, MOST_SAMPLES, Body, has_column, text_of_instant
from gateway.uplink.columns import Numbers, Scattered, sums
from gateway.uplink.envelope import Malformed, read_observations
from gateway.uplink.fold import ORDERS
from gateway.uplink.forms import EACH, LITERAL, MIXED, MOST_DIGITS, WORDS, Face, Form, text_of, text_of_words

_Make = Callable[..., AnyObservation]
_JSON = msgspec.json.Encoder(decimal_format="number")
_DECIMAL = msgspec.json.Decoder(Decimal)
PLACEHOLDERS_BYTES = 32
"""An observation of no known place and time is this much shorter than what says so here."""
_replace = msgspec.structs.replace


def unfold(body: Body, count: int, limit: int) -> list[AnyObservation]:
    """The `count` observations of a body, without what their frame says of them. Raises `Malformed`.

    `limit` is for the bytes they would have as JSON, roughly: a long stem may be said over and over.
    """
    stems = read_observations(body.stems)
    found = _Unfolder(body, stems, count).observations(limit) if body.batches else stems
    if len(found) != count:
        raise Malformed("count")
    return found


class _Unfolder:
    def __init__(self, body: Body, stems: list[AnyObservation], count: int) -> None:
        self._body, self._stems, self._count = body, stems, count
        self._columned = [has_column(stem) for stem in stems]
        self._scatter = Scattered(body.scatter)
        batches = Numbers(body.batches)
        self._batches = batches.size(count)
        self._patterns = self._read_patterns()
        self._sources = batches.below(self._batches, len(body.sources))
        self._of_batches = batches.below(self._batches, len(self._patterns))
        self._trusts = [trust - 1 for trust in batches.below(self._batches, len(body.trusts) + 1)]
        self._faces = [face - 1 for face in batches.below(self._batches, len(body.faces) + 1)]
        batches.end()
        if sum(len(self._patterns[pattern]) for pattern in self._of_batches) != count:
            raise Malformed("count")
        moments = Numbers(body.moments)
        self._instants = self._read_instants(moments)
        self._offsets = self._read_offsets(moments)
        moments.end()

    def observations(self, limit: int) -> list[AnyObservation]:
        """All of them, batch by batch."""
        self._weigh(limit)
        device_times = self._read_device_times()
        series = self._read_series()
        found: list[AnyObservation] = []
        for batch in range(self._batches):
            source, trust = self._sources[batch], self._trusts[batch]
            pattern = self._patterns[self._of_batches[batch]]
            if trust < 0:
                found += [self._from(source, stem) for stem in pattern]
                continue
            moment = self._moment(batch, trust, device_times[batch])
            for stem in pattern:
                make = series.get((stem, source))
                found.append(make(**moment) if make else _replace(self._from(source, stem), **moment))
        return found

    def _weigh(self, limit: int) -> None:
        stems = [len(_JSON.encode(stem)) for stem in self._stems]
        patterns = [sum(stems[stem] for stem in pattern) for pattern in self._patterns]
        sources = [len(_JSON.encode(source)) for source in self._body.sources]
        trusts = [0, *(len(_JSON.encode(trust)) for trust in self._body.trusts)]
        weight = 0
        for batch, pattern in enumerate(self._of_batches):
            around = sources[self._sources[batch]] + trusts[self._trusts[batch] + 1]
            weight += patterns[pattern] + len(self._patterns[pattern]) * around
        if weight > limit + PLACEHOLDERS_BYTES * self._count:
            raise Malformed("too_large")

    def _from(self, source: int, stem: int) -> AnyObservation:
        said = self._body.sources[source]
        return _replace(
            self._stems[stem],
            device=said.device,
            place=said.place,
            driver=said.driver,
            mode=said.mode,
            source_auth=said.source_auth,
        )

    def _moment(self, batch: int, trust: int, device_time: str) -> dict[str, Any]:
        at, clock = text_of_instant(self._instants[batch]), self._body.trusts[trust]
        if at is None:
            raise Malformed("instant")
        if clock is not None:
            clock = _replace(clock, mono_s=(self._instants[batch] - self._offsets[batch]) / 1000)
        return {"at": at, "clock": clock, "device_time": device_time}

    def _read_patterns(self) -> list[list[int]]:
        listed = Numbers(self._body.patterns)
        patterns: list[list[int]] = []
        left = self._count
        for _ in range(listed.size(self._batches)):
            length = listed.size(left)
            left -= length
            stem, pattern = -1, []
            for step in listed.take(length):
                stem += step + 1
                if not 0 <= stem < len(self._stems):
                    raise Malformed("columns")
                pattern.append(stem)
            patterns.append(pattern)
        listed.end()
        return patterns

    def _read_instants(self, moments: Numbers) -> dict[int, int]:
        mine: dict[int, list[int]] = {}
        for batch, source in enumerate(self._sources):
            if self._trusts[batch] >= 0:
                mine.setdefault(source, []).append(batch)
        rest = iter(self._scatter.take(sum(len(batches) - 1 for batches in mine.values())))
        instants: dict[int, int] = {}
        base = 0
        for source in sorted(mine):
            base += moments.one()
            usual = moments.one() if len(mine[source]) > 1 else 0
            at = base - usual
            for batch, more in zip(mine[source], chain((0,), rest), strict=False):
                at += usual + more
                instants[batch] = at
        return instants

    def _read_offsets(self, moments: Numbers) -> dict[int, int]:
        clocks = self._body.trusts
        told = [batch for batch, trust in enumerate(self._trusts) if trust >= 0 and clocks[trust] is not None]
        if not told:
            return {}
        return dict(zip(told, sums([moments.one(), *self._scatter.take(len(told) - 1)]), strict=True))

    def _read_device_times(self) -> list[str]:
        faces = {number: Face(self._body.faces[number]) for number in set(self._faces) if number >= 0}
        groups: dict[tuple[int, int], list[int]] = {}
        for batch, face in enumerate(self._faces):
            if face >= 0:
                groups.setdefault((self._sources[batch], face), []).append(batch)
        numbers = Numbers(self._body.face_numbers)
        found = [""] * self._batches
        for (_source, face), batches in groups.items():
            places = [sums(numbers.take(len(batches))) for _ in range(len(faces[face]))]
            rows: Iterator[tuple[int, ...]] = zip(*places, strict=True) if places else repeat((), len(batches))
            for batch, row in zip(batches, rows, strict=True):
                text = faces[face].show(row)
                if text is None:
                    raise Malformed("columns")
                found[batch] = text
        numbers.end()
        return found

    def _read_series(self) -> dict[tuple[int, int], _Make]:
        counts: dict[tuple[int, int], int] = {}
        for batch, source in enumerate(self._sources):
            if self._trusts[batch] >= 0:
                for stem in self._patterns[self._of_batches[batch]]:
                    if self._columned[stem]:
                        counts[stem, source] = counts.get((stem, source), 0) + 1
        columns = _Columns(self._body, self._scatter)
        found: dict[tuple[int, int], _Make] = {}
        for stem, group in groupby(sorted(counts), key=itemgetter(0)):
            places = list(group)
            makers = columns.take([(self._from(source, stem), counts[stem, source]) for _stem, source in places])
            found |= zip(places, makers, strict=True)
        columns.end()
        return found


class _Columns:
    """Reads the series of one stem after those of the other."""

    def __init__(self, body: Body, scatter: Scattered) -> None:
        self._scatter, self._forms, self._most_marks = scatter, body.forms, len(body.texts)
        self._series, self._shapes, self._texts = Numbers(body.series), Numbers(body.shapes), iter(body.texts)
        self._samples = 0

    def end(self) -> None:
        """Everything must have been used."""
        for numbers in self._series, self._shapes, self._scatter:
            numbers.end()
        if next(self._texts, None) is not None:
            raise Malformed("columns")

    def take(self, group: Sequence[tuple[AnyObservation, int]]) -> list[_Make]:
        """All series of one stem: the stem as of each source, and how often it was said."""
        if isinstance(group[0][0], Waveform):
            return [_series(stem, iter(self._take_waveforms(count))) for stem, count in group]
        return self._take_numerics(group)

    def _take_numerics(self, group: Sequence[tuple[AnyObservation, int]]) -> list[_Make]:
        forms = [self._forms[at] for at in self._series.below(len(group), len(self._forms))]
        if not all(form.is_sound() for form in forms):
            raise Malformed("columns")
        counts = [count for (_stem, count), form in zip(group, forms, strict=True) if form.digits != LITERAL]
        firsts = iter(sums(self._scatter.take(len(counts))))
        rest = iter(self._scatter.take(sum(counts) - len(counts)))
        makers: list[_Make] = []
        for (stem, count), form in zip(group, forms, strict=True):
            if form.digits == LITERAL:
                values = [_decimal(text) for text in self._take_texts(count)]
                shown = [str(value) for value in values]
            else:
                shown = self._shown(form, sums([next(firsts), *islice(rest, count - 1)]))
                values = list(map(Decimal, shown))
            makers.append(_numerics(stem, iter(values), iter(self._vendor_texts(form, shown))))
        return makers

    def _shown(self, form: Form, whole: list[int]) -> list[str]:
        if form.digits != MIXED:
            return [text_of(number, form.digits) for number in whole]
        each = self._scatter.take(len(whole))
        if not 0 <= min(each) <= max(each) <= MOST_DIGITS:
            raise Malformed("columns")
        return list(map(text_of, whole, each))

    def _vendor_texts(self, form: Form, shown: list[str]) -> list[str]:
        if form.text == EACH:
            return self._take_texts(len(shown))
        if form.text == WORDS:
            words = sums(self._scatter.take(len(shown)))
            if not 0 <= min(words) <= max(words) < 1 << 16 * form.width:
                raise Malformed("columns")
            return [text_of_words(number, form.width) for number in words]
        return [form.show(text) for text in shown]

    def _take_texts(self, count: int) -> list[str]:
        found = list(islice(self._texts, count))
        if len(found) < count:
            raise Malformed("columns")
        return found

    def _take_waveforms(self, count: int) -> list[dict[str, Any]]:
        order = self._series.size(max(ORDERS))
        shapes: list[tuple[int, int, list[int], tuple[Mark, ...]]] = []
        expected = sent = 0
        for _ in range(count):
            length = self._shapes.size(MOST_SAMPLES - self._samples)
            self._samples += length
            (start,) = _bounded([expected + self._shapes.one()])
            expected = start + length
            holes = self._shapes.take(2 * self._shapes.size(length))
            if holes and (min(holes) < 0 or sum(holes) > length):
                raise Malformed("columns")
            ats = _bounded(sums(self._shapes.take(self._shapes.size(self._most_marks))))
            shapes.append((length, start, holes, tuple(map(Mark, ats, self._take_texts(len(ats))))))
            sent += length - sum(holes[1::2])
        samples = iter(_bounded(sums(self._scatter.take(sent), order)))
        return [
            {"samples": _with_holes(samples, length, holes), "start": start, "marks": marks}
            for length, start, holes, marks in shapes
        ]


def _bounded(numbers: list[int]) -> list[int]:
    """The numbers, if they are of a size that any reader of JSON can take."""
    if numbers and not -FURTHEST <= min(numbers) <= max(numbers) <= FURTHEST:
        raise Malformed("columns")
    return numbers


def _with_holes(samples: Iterator[int], length: int, holes: Sequence[int]) -> tuple[int | None, ...]:
    if not holes:
        return tuple(islice(samples, length))
    mine: list[int | None] = []
    for gap, missing in zip(holes[::2], holes[1::2], strict=True):
        mine += islice(samples, gap)
        mine += repeat(None, missing)
    mine += islice(samples, length - len(mine))
    return tuple(mine)


def _series(stem: AnyObservation, rows: Iterator[dict[str, Any]]) -> _Make:
    return lambda **moment: _replace(stem, **next(rows), **moment)


def _numerics(stem: AnyObservation, values: Iterator[Decimal], texts: Iterator[str]) -> _Make:
    vendor = stem.vendor
    if vendor is None:
        raise Malformed("columns")
    return lambda **moment: _replace(stem, value=next(values), vendor=_replace(vendor, text=next(texts)), **moment)


def _decimal(text: str) -> Decimal:
    """A JSON number with its digits."""
    try:
        value = _DECIMAL.decode(text.encode())
    except (msgspec.DecodeError, ValueError) as error:
        raise Malformed("columns") from error
    if not value.is_finite():
        raise Malformed("columns")
    return value
