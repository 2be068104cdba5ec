"""A decoder of the compact encoding written from docs/platform/compact.md alone, as somebody elsewhere would do it.

It takes well-formed frames only and imports nothing of what it is compared with.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate, groupby, islice
from typing import Any

import msgspec
from zstandard import ZstdCompressionDict, ZstdDecompressor

# Numbers stay the text they are, as a JSON reader for decimals would keep them.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def signed(z: int) -> int:
    return z // 2 if z % 2 == 0 else -(z // 2) - 1


def varints(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number += (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield signed(number)
            number = shift = 0


class Bits:
    def __init__(self, data: bytes) -> None:
        self.bits = iter("".join(f"{byte:08b}" for byte in data))

    def number(self, size: int) -> int:
        return int("0" + "".join(islice(self.bits, size)), 2)

    def column(self, count: int) -> list[int]:
        found: list[int] = []
        k = 0
        for at in range(count):
            if at % 64 == 0:
                k = self.number(6)
            ones = 0
            while ones < 16 and next(self.bits) == "1":
                ones += 1
            z = self.number(self.number(6) + 1) if ones == 16 else (ones << k) + self.number(k)
            found.append(signed(z))
        return found


def undo(differences: list[int], times: int = 1) -> list[int]:
    for first in reversed(range(times)):
        differences = differences[:first] + list(accumulate(differences[first:]))
    return differences


def with_point(number: int, digits: int) -> str:
    figures = str(abs(number)).rjust(digits + 1, "0")
    sign = "-" if number < 0 else ""
    return sign + (figures[:-digits] + "." + figures[-digits:] if digits else figures)


class Body:
    def __init__(self, body: list[Any]) -> None:
        self.sources, self.trusts, self.stems = body[0], body[1], json.loads(body[2], parse_float=str, parse_int=str)
        self.patterns = self.read_patterns(varints(body[3]))
        batches = varints(body[4])
        self.size = next(batches, 0)
        self.of = [list(islice(batches, self.size)) for _ in range(4)]
        self.bits, self.texts = Bits(body[12]), iter(body[11])
        self.forms, self.series, self.shapes = body[8], varints(body[9]), varints(body[10])
        self.timed = [batch for batch in range(self.size) if self.of[2][batch] > 0]
        self.by_source = {
            source: [batch for batch in self.timed if self.of[0][batch] == source]
            for source in sorted({self.of[0][batch] for batch in self.timed})
        }
        self.read_moments(varints(body[5]))
        self.read_faces(body[6], varints(body[7]))

    @staticmethod
    def read_patterns(numbers: Iterator[int]) -> list[list[int]]:
        return [
            [each - 1 for each in accumulate(1 + next(numbers) for _ in range(next(numbers)))]
            for _ in range(next(numbers, 0))
        ]

    def read_moments(self, numbers: Iterator[int]) -> None:
        firsts, base = {}, 0
        for source, batches in self.by_source.items():
            base += next(numbers)
            firsts[source] = (base, next(numbers) if len(batches) > 1 else 0)
        more = iter(self.bits.column(len(self.timed) - len(self.by_source)))
        self.instants: dict[int, int] = {}
        for source, batches in self.by_source.items():
            at, usual = firsts[source]
            for number, batch in enumerate(batches):
                at += usual + next(more) if number else 0
                self.instants[batch] = at
        clocks = [batch for batch in self.timed if self.trusts[self.of[2][batch] - 1] is not None]
        first = [next(numbers)] if clocks else []
        self.starts = dict(zip(clocks, undo(first + self.bits.column(max(0, len(clocks) - 1))), strict=True))

    def read_faces(self, faces: list[str], numbers: Iterator[int]) -> None:
        self.device_times = [""] * self.size
        pairs: dict[tuple[int, int], list[int]] = {}
        for batch in range(self.size):
            if self.of[3][batch]:
                pairs.setdefault((self.of[0][batch], self.of[3][batch] - 1), []).append(batch)
        for (_source, face), batches in pairs.items():
            pieces = [(is_place, "".join(run)) for is_place, run in groupby(faces[face], lambda sign: sign == "0")]
            written = [""] * len(batches)
            for is_place, run in pieces:
                for size in [min(9, len(run) - at) for at in range(0, len(run), 9)] if is_place else []:
                    column = undo([next(numbers) for _ in batches])
                    written = [text + str(one).rjust(size, "0") for text, one in zip(written, column, strict=True)]
                if not is_place:
                    written = [text + run for text in written]
            for batch, text in zip(batches, written, strict=True):
                self.device_times[batch] = text

    def observations(self) -> list[dict[str, Any]]:
        if not self.size:
            return list(self.stems)
        columns = self.read_series()
        found = []
        for batch in range(self.size):
            source, pattern, trust, _face = (each[batch] for each in self.of)
            for stem in self.patterns[pattern]:
                one = dict(self.stems[stem])
                names = ("device", "place", "driver", "mode", "source_auth")
                one |= {name: said for name, said in zip(names, self.sources[source], strict=True) if said}
                if trust:
                    one |= self.moment(batch, self.trusts[trust - 1])
                    if (stem, source) in columns:
                        more = next(columns[stem, source])
                        if "text" in more:
                            text = more.pop("text")
                            one["vendor"] = {**one["vendor"], **({"text": text} if text else {})}
                        one |= more
                found.append(one)
        return found

    def moment(self, batch: int, trust: dict[str, Any] | None) -> dict[str, Any]:
        at = EPOCH + timedelta(milliseconds=self.instants[batch])
        said: dict[str, Any] = {"at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        if trust is not None:
            clock = {name: str(one) if isinstance(one, int) else one for name, one in trust.items()}
            said["clock"] = {**clock, "mono_s": str((self.instants[batch] - self.starts[batch]) / 1000)}
        if self.device_times[batch]:
            said["device_time"] = self.device_times[batch]
        return said

    def read_series(self) -> dict[tuple[int, int], Iterator[dict[str, Any]]]:
        counts: dict[tuple[int, int], int] = {}
        for batch in self.timed:
            for stem in self.patterns[self.of[1][batch]]:
                said = self.stems[stem]
                is_numeric = said["kind"] == "numeric" and "vendor" in said and said["value"] is not None
                if is_numeric or said["kind"] == "waveform":
                    key = (stem, self.of[0][batch])
                    counts[key] = counts.get(key, 0) + 1
        found: dict[tuple[int, int], Iterator[dict[str, Any]]] = {}
        for stem, group in groupby(sorted(counts), lambda key: key[0]):
            keys = list(group)
            if self.stems[stem]["kind"] == "numeric":
                rows = self.numerics([counts[key] for key in keys])
            else:
                rows = [self.waveforms(counts[key]) for key in keys]
            found |= {key: iter(each) for key, each in zip(keys, rows, strict=True)}
        return found

    def numerics(self, counts: list[int]) -> list[list[dict[str, Any]]]:
        forms = [self.forms[next(self.series)] for _ in counts]
        plain = [count for count, form in zip(counts, forms, strict=True) if form[0] != -2]
        firsts = iter(undo(self.bits.column(len(plain))))
        rest = iter(self.bits.column(sum(plain) - len(plain)))
        found = []
        for count, form in zip(counts, forms, strict=True):
            digits, kind, before, width, fill, point, after = form
            if digits == -2:
                values = [next(self.texts) for _ in range(count)]
            else:
                whole = undo([next(firsts), *islice(rest, count - 1)])
                each = self.bits.column(count) if digits == -1 else [digits] * count
                values = [with_point(number, size) for number, size in zip(whole, each, strict=True)]
            if kind == 0:
                texts = [next(self.texts) for _ in range(count)]
            elif kind == 2:
                words = [f"{number:0{4 * width}X}" for number in undo(self.bits.column(count))]
                texts = [" ".join(word[at : at + 4] for at in range(0, len(word), 4)) for word in words]
            else:
                texts = [before + self.filled(value.replace(".", point), width, fill) + after for value in values]
            found.append([{"value": value, "text": text} for value, text in zip(values, texts, strict=True)])
        return found

    @staticmethod
    def filled(value: str, width: int, fill: str) -> str:
        missing = (fill * width)[: max(0, width - len(value))]
        return "-" + missing + value[1:] if fill == "0" and value.startswith("-") else missing + value

    def waveforms(self, count: int) -> list[dict[str, Any]]:
        order, shapes, expected = next(self.series), [], 0
        for _ in range(count):
            length = next(self.shapes)
            start = expected + next(self.shapes)
            expected = start + length
            holes = [next(self.shapes) for _ in range(2 * next(self.shapes))]
            places = undo([next(self.shapes) for _ in range(next(self.shapes))])
            shapes.append((length, start, holes, [{"at": str(at), "event": next(self.texts)} for at in places]))
        there = sum(length - sum(holes[1::2]) for length, _start, holes, _marks in shapes)
        samples = iter(undo(self.bits.column(there), order))
        found = []
        for length, start, holes, marks in shapes:
            row: list[str | None] = []
            for before, missing in zip(holes[::2], holes[1::2], strict=True):
                row += [str(next(samples)) for _ in range(before)] + [None] * missing
            row += [str(next(samples)) for _ in range(length - len(row))]
            one: dict[str, Any] = {"samples": row}
            found.append(one | ({"start": str(start)} if start else {}) | ({"marks": marks} if marks else {}))
        return found


def read(payload: bytes, dictionary: bytes = b"") -> tuple[list[Any], list[dict[str, Any]]]:
    """The envelope's elements and the observations, numbers as the text they are."""
    assert payload[:3] == b"JC\x01"
    tool = ZstdDecompressor(dict_data=ZstdCompressionDict(dictionary) if dictionary else None)
    *envelope, body = msgspec.msgpack.decode(tool.decompress(payload[7:]))
    return envelope, Body(body).observations()
