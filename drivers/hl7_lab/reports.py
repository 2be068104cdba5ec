"""The results of one message: each OBX with the order, the specimen and the notes that belong to it.

    ORU        { ORC  OBR  [NTE]  TQ1  { OBX  [NTE] }  SPM }               the specimen belongs to the order before it
    OUL^R21    { [SAC]  [ORC]  OBR  [NTE]  TQ1  { OBX } }                  to the order behind it
    OUL^R22    { SPM  { SAC  INV } { OBR  ORC  [NTE]  TQ1  { OBX } } }     to all orders behind it, R23 likewise
    OUL^R24    { OBR  ORC  [NTE]  TQ1  { SPM  SAC }  { OBX } }             to the order before it

HL7 2.5, chapter 7, ORU_R01, ORU_R30 and OUL_R21 to R24. Segments of the patient and of the visit are passed over
unread.
"""

from collections.abc import Mapping

from msgspec import Struct

from drivers.contract import Fault
from drivers.framing.hl7 import Delimiters, Message, Segment
from drivers.hl7_lab.options import Options, Place, Words, words

_SPECIMEN = frozenset(("SPM", "SAC", "SID", "INV"))
_SPECIMEN_STANDS = {"OUL^R21": "ahead", "OUL^R22": "before_all", "OUL^R23": "before_all"}
_PASSED_OVER = frozenset(
    ("PID", "PD1", "PV1", "PV2", "NK1", "GT1", "IN1", "IN2", "AL1", "DG1", "ROL", "PRT", "NTE")
    + ("SFT", "CTD", "CTI", "FT1", "BLG", "EQU", "TCD", "TQ2", "ERR", "MSA", "QAK", "QPD", "QRD")
)
_STRAY_NOTE = Fault("comment_not_on_result")


class Order(Struct, frozen=True):
    """What the segments around an OBX say of it."""

    specimen: str = ""
    specimen_type: str = ""
    started: str = ""
    completed: str = ""
    is_qc: bool = False
    run: str = ""
    comments: tuple[str, ...] = ()
    """Notes on the order where they are the device's own."""


class Group:
    """An order and what belongs to it, as it is put together."""

    __slots__ = ("notes", "row_notes", "rows", "segments")

    def __init__(self, segments: dict[str, Segment]) -> None:
        self.segments = segments
        self.rows: list[Segment] = []
        """Its OBX segments."""
        self.notes: list[str] = []
        """On the order itself."""
        self.row_notes: dict[int, list[str]] = {}
        """On a result, by its place in `rows`."""


def groups_of(message: Message, kind: str, faults: list[Fault]) -> list[Group]:
    """All orders of a message in order; segments that mean nothing here are counted, once for each name."""
    reader = _Reader(message, faults, _SPECIMEN_STANDS.get(kind, "behind"))
    rows: list[Segment] | None = None
    for segment in message.segments[1:]:
        if segment.fields[0] != "OBX":
            reader.take(segment, rows)
            rows = None
            continue
        if rows is None:
            rows = reader.open().rows
        rows.append(segment)
    faults += [Fault("unknown_record", name) for name in sorted(reader.unknown)]
    return reader.groups


class _Reader:
    def __init__(self, message: Message, faults: list[Fault], specimen_stands: str) -> None:
        self.groups: list[Group] = []
        self.unknown: set[str] = set()
        self._marks = message.delimiters
        self._header = message.header
        self._faults = faults
        self._specimen_stands = specimen_stands
        self._ahead: dict[str, Segment] = {}
        """What belongs to the OBR that follows."""
        self._specimen: dict[str, Segment] = {}
        self._group: Group | None = None
        self._notes: list[str] | None = None
        """Where the notes go that follow."""

    def take(self, segment: Segment, rows: list[Segment] | None) -> None:
        """Any segment but OBX; `rows` where it follows one."""
        if rows is not None and self._group is not None:
            self._notes = self._group.row_notes.setdefault(len(rows) - 1, [])
        name = segment.fields[0]
        if name == "NTE":
            self._note(segment)
        elif name == "OBR":
            self._group = None
            self._ahead["OBR"] = segment
            self._notes = self.open().notes
        elif name in _SPECIMEN:
            self._take_specimen(segment)
        elif name == "TQ1" and self._group is not None:
            self._group.segments.setdefault(name, segment)
        elif name in ("TQ1", "ORC"):
            self._ahead[name] = segment
        else:
            self._notes = None
            if name not in _PASSED_OVER:
                self.unknown.add(name)

    def open(self) -> Group:
        """The order that an OBX belongs to."""
        if self._group is None:
            self._group = Group({"MSH": self._header, **self._specimen, **self._ahead})
            self._ahead = {}
            self.groups.append(self._group)
        return self._group

    def _take_specimen(self, segment: Segment) -> None:
        name = segment.fields[0]
        self._notes = None
        if self._specimen_stands == "behind":
            belongs = self._ahead if self._group is None else self._group.segments
            belongs.setdefault(name, segment)
            return
        self._group = None
        if self._specimen_stands == "ahead":
            self._ahead[name] = segment
            return
        if name == "SPM":
            self._specimen = {}
        self._specimen[name] = segment

    def _note(self, segment: Segment) -> None:
        text = self._marks.unescape(segment[3]).strip()
        if self._notes is None:
            self._faults.append(_STRAY_NOTE)
        elif text:
            self._notes.append(text)


class OrderReader:
    """Reads what stands around the results, by the places of the options."""

    def __init__(self, options: Options) -> None:
        self._specimen, self._specimen_type = _places(options.specimen), _places(options.specimen_type)
        self._started, self._completed = _places(options.started), _places(options.completed)
        self._run = _places(options.run)
        self._qc, self._unread = _conditions(options.qc), _conditions(options.unread)
        self._prefix = options.qc_specimen_prefix
        self._takes_notes = options.order_notes

    def read(self, group: Group, marks: Delimiters) -> Order:
        """Total: what is not there is empty."""
        segments = group.segments
        specimen = _first(self._specimen, segments, marks)
        return Order(
            specimen=specimen,
            specimen_type=_first(self._specimen_type, segments, marks),
            started=_first(self._started, segments, marks),
            completed=_first(self._completed, segments, marks),
            is_qc=_is_any(self._qc, segments, marks) or bool(self._prefix and specimen.startswith(self._prefix)),
            run=_first(self._run, segments, marks),
            comments=tuple(group.notes) if self._takes_notes else (),
        )

    def is_unread(self, message: Message) -> bool:
        """Whether this is a message that the profile leaves alone, such as a calibration."""
        return _is_any(self._unread, {"MSH": message.header}, message.delimiters)


Conditions = tuple[tuple[Place, tuple[str, ...]], ...]


def _conditions(table: Mapping[str, Words]) -> Conditions:
    return tuple((Place.from_name(name), words(found)) for name, found in table.items())


def _is_any(conditions: Conditions, segments: dict[str, Segment], marks: Delimiters) -> bool:
    return any(_read(place, segments, marks) in found for place, found in conditions)


def _places(names: tuple[str, ...]) -> tuple[Place, ...]:
    """Those outside OBX; what stands in OBX is each result's own."""
    places = (Place.from_name(name) for name in names)
    return tuple(place for place in places if place.segment != "OBX")


def _read(place: Place, segments: dict[str, Segment], marks: Delimiters) -> str:
    segment = segments.get(place.segment)
    return place.read(segment, marks) if segment is not None else ""


def _first(places: tuple[Place, ...], segments: dict[str, Segment], marks: Delimiters) -> str:
    return next((text for place in places if (text := _read(place, segments, marks))), "")
