"""One report of a Respironics ventilator, and the scanner that finds it.

    ┌──────┬───┬─────┬───┬──────┬───┬─────┬───┬────────┬───┬────────┬───┬─────┬────┐
    │ VRPT │ , │ 988 │ , │ 133  │ , │ STX │ , │ 13:45␣ │ , │ 24.1␣␣ │ … │ ETX │ CR │
    │ name │   │ characters    │   │ 02H │   │ fields, six characters  │ 03H │ 0DH│
    │      │   │ and fields between STX and ETX      │ each, left-justified    │    │
    └──────┴───┴─────────────────┴───┴─────┴───┴─────────────────────────┴─────┴────┘

Respironics V200 Ventilator Operator's Manual, REF 1057983 A, Appendix A and chapter 13, "Transmission of data from
the ventilator": the second field counts the characters between start and stop code, the third the fields. There is no
checksum, so both counts, their known values, every character and every width that is read must be right.
"""

import re

from msgspec import Struct

from drivers.contract import NOISE, Fault

MAX_HEADER = 16
"""The longest: five letters, three and three digits, a space, three commas and STX."""
_HEADER = re.compile(rb"(VRPT|MISCA|VCVS|PCVS|NPVS|PTDT|ALRM),([0-9]{3}),([0-9]{2,3}) ?,\x02")
"""The names that the sources know, so that a damaged byte before a name does not become part of it."""
_PART = re.compile(rb"[A-Z]{0,5}\Z|[A-Z]{4,5},[0-9]{0,3}\Z|[A-Z]{4,5},[0-9]{3},[0-9]{0,3} ?,?\Z")
_FOREIGN = re.compile(rb"[^ -~]")
_END = b"\x03\r"


class Report(Struct, frozen=True):
    """A report whose own counts are right; fields as sent, number 1 the first."""

    name: str
    characters: int
    fields: tuple[str, ...]

    @classmethod
    def from_bytes(cls, name: bytes, characters: int, fields: int, data: bytes) -> "Report | Fault":
        """Header and what stands between STX and ETX; a fault says why it is none."""
        if len(data) != characters:
            return _fault("length", name)
        # VRPT has a comma behind STX and before ETX, SNDA of a V200 none behind STX. No field is empty, so that with
        # the count there is one reading only.
        content = data.decode("ascii").removeprefix(",").removesuffix(",")
        found = tuple(content.split(","))
        if len(found) != fields or "" in found:
            return _fault("count", name)
        return cls(name.decode("ascii"), characters, found)

    def to_bytes(self) -> bytes:
        """The report with a comma behind STX and before ETX, as VRPT has them."""
        content = f",{','.join(self.fields)},"
        return f"{self.name},{self.characters},{len(self.fields)},\x02{content}\x03\r".encode("ascii")

    def field(self, number: int) -> str:
        """One field by the number that the public program gives it: the first with data is 1."""
        return self.fields[number - 1]


Item = Report | Fault


def _fault(reason: str, name: bytes) -> Fault:
    return Fault(reason, name.decode("ascii"), rejected=True)


class Scanner:
    """Bytes in any split; reports and faults out. Holds at most one unfinished report."""

    def __init__(self) -> None:
        self._held = b""

    def drop(self) -> None:
        """Forget what was half received."""
        self._held = b""

    def feed(self, data: bytes) -> list[Item]:
        """What became whole with these bytes."""
        data, at = self._held + data, 0
        items: list[Item] = []
        while header := _HEADER.search(data, at):
            if data[at : header.start()].strip(b"\r\n"):
                items.append(Fault(NOISE))
            end = header.end() + int(header[2])
            foreign = _FOREIGN.search(data, header.end(), end)
            if foreign is None and len(data) < end + len(_END) and _END.startswith(data[end:]):
                self._held = data[header.start() :]
                return items
            at = header.end()
            if foreign is not None or data[end : end + len(_END)] != _END:
                items.append(_fault("framing", header[1]))
                continue
            items.append(Report.from_bytes(header[1], int(header[2]), int(header[3]), data[header.end() : end]))
            at = end + len(_END)
        rest = max(at, len(data) - MAX_HEADER)
        part = _PART.search(data, rest)
        keep = part.start() if part else len(data)
        if data[at:keep].strip(b"\r\n"):
            items.append(Fault(NOISE))
        self._held = data[keep:]
        return items
