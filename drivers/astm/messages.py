"""Messages of E1394 / LIS02-A2: the text of frames into records, records into results once the L record is there.

Text is put together until a CR ends a record, so records may be split anywhere over frames and many may share one.
Nothing of a message is given out before its L record: a message that ends without one, or with a code that says it
is not whole, is partial, and a partial message is not published (LIS02-A2 section 4.2; the raw bytes are what
`jisr record` keeps).
"""

import re
from collections import deque

from drivers.astm.options import Options
from drivers.astm.records import COMPLETE, Header, Order, parse_comment, parse_completion
from drivers.astm.results import ResultReader
from drivers.contract import Fault
from drivers.observation import AnyObservation, Device, Result
from drivers.profile import Profile

MAX_MESSAGE_BYTES = 4_000_000
MAX_MESSAGE_RECORDS = 10_000
"""Results and comments of one message that wait for its L record."""
MEMORY_IDENTITIES = 2048

_NO_ORDER = Order()
_BARE_BYTES = 16
_BARE_TERMINATOR = re.compile(rb"[Ll](?:[^\w\s][0-9]*(?:[^\w\s][A-Za-z]?)?)?")
"""An L record whose CR the device left out; the end of an ETX frame ends it."""

_WITHOUT_HEADER = Fault("record_without_header")
_PARTIAL = Fault("partial_message")
_BAD_HEADER = Fault("header")
_HOST_QUERY = Fault("host_query")
_STRAY_COMMENT = Fault("comment_not_on_result")
_DUPLICATE = Fault("duplicate_result")


class _Pending:
    """An R record that waits for the L record, and the comments on it."""

    __slots__ = ("comments", "order", "record")

    def __init__(self, record: str, order: Order) -> None:
        self.record, self.order = record, order
        self.comments: list[str] = []


class MessageReader:
    """The records of one device. `found` and `faults` fill as text is taken; the caller empties them.

    It remembers the identities of the last 2,048 results, so that a session which a device repeats gives none twice.
    """

    def __init__(self, profile: Profile, options: Options) -> None:
        self._options = options
        self._results = ResultReader(profile, options)
        self._known: set[str] = set()
        self._oldest: deque[str] = deque()
        self._identity: dict[str, str] | None = None
        self.found: list[AnyObservation] = []
        self.faults: list[Fault] = []
        self._forget()

    def _forget(self) -> None:
        self._tail = bytearray()
        self._size = 0
        self._close_message()

    def _close_message(self) -> None:
        self._header: Header | None = None
        self._is_open = False
        self._order = _NO_ORDER
        self._pending: list[_Pending] = []
        self._waiting = 0
        self._anchor: _Pending | None = None

    def take(self, text: bytes, *, is_last: bool) -> bool:
        """Text of the next frame, `is_last` where ETX ended it; False when the message grows beyond its limit."""
        self._size += len(text)
        if self._size > MAX_MESSAGE_BYTES or self._waiting + text.count(b"\r") > MAX_MESSAGE_RECORDS:
            self.discard()
            return False
        whole = self._whole_records(text)
        if is_last and len(self._tail) < _BARE_BYTES and _BARE_TERMINATOR.fullmatch(self._tail):
            whole += b"\r" + self._tail
            self._tail = bytearray()
        if whole:
            for record in whole.decode(self._options.encoding, "replace").split("\r"):
                if record:
                    self._read(record)
        return True

    def _whole_records(self, text: bytes) -> bytes:
        """What `text` completes; the beginning of a further record is kept."""
        end = text.rfind(b"\r")
        if end < 0:
            self._tail += text
            return b""
        whole = bytes(self._tail) + text[:end] if self._tail else text[:end]
        self._tail = bytearray(text[end + 1 :])
        return whole

    def discard(self) -> None:
        """What is incomplete will not be completed; identities stay known."""
        is_partial = self._is_open or bool(self._tail)
        if is_partial:
            self.faults.append(_PARTIAL)
        if is_partial or self._size:
            self._forget()

    def _read(self, record: str) -> None:
        letter = record[0].upper()
        if letter == "H":
            self._read_header(record)
        elif self._header is None:
            if not self._is_open:
                self.faults.append(_WITHOUT_HEADER)
        elif letter == "R":
            self._anchor = _Pending(record, self._order)
            self._pending.append(self._anchor)
            self._waiting += 1
        elif letter == "C":
            self._read_comment(record, self._header)
        elif letter == "L":
            self._read_terminator(record, self._header)
        else:
            self._anchor = None
            self._read_other(letter, record, self._header)

    def _read_other(self, letter: str, record: str, header: Header) -> None:
        if letter == "O":
            self._order = Order.from_record(record, header.delimiters, self._options)
        elif letter == "P":
            self._order = _NO_ORDER  # whose the specimen is, is never read
        elif letter == "Q":
            self.faults.append(_HOST_QUERY)
        else:
            self.faults.append(Fault("unknown_record", letter if letter.isascii() and letter.isalpha() else "?"))

    def _read_header(self, record: str) -> None:
        if self._is_open:
            self.faults.append(_PARTIAL)
        self._close_message()
        self._is_open = True
        self._header = Header.from_record(record, self._options)
        if self._header is None:
            self.faults.append(_BAD_HEADER)
        elif self._header.identity != self._identity:
            self._identity = self._header.identity
            self.found.append(Device(connection="connected", identity=self._identity, validity="valid"))

    def _read_comment(self, record: str, header: Header) -> None:
        if self._anchor is None:
            self.faults.append(_STRAY_COMMENT)
            return
        text = parse_comment(record, header.delimiters)
        if text:
            self._anchor.comments.append(text)
            self._waiting += 1

    def _read_terminator(self, record: str, header: Header) -> None:
        code = parse_completion(record, header.delimiters)
        if code in COMPLETE:
            self._give_out(header)
        else:
            self.faults.append(Fault("partial_message", code if len(code) == 1 and code.isascii() else "?"))
        self._close_message()
        self._size = 0

    def _give_out(self, header: Header) -> None:
        met: set[str] = set()
        for pending in self._pending:
            comments = tuple(pending.comments)
            seen = self._results.observe_result(pending.record, header, pending.order, comments, met)
            if self._is_repeat(seen):
                self.faults.append(_DUPLICATE)
            else:
                self.found.append(seen)

    def _is_repeat(self, seen: Result) -> bool:
        """Known already. Without specimen and time nothing tells two results apart, and neither is dropped."""
        identity = seen.identity
        if identity in self._known:
            return True
        if seen.specimen or seen.device_time or seen.started:
            if len(self._known) >= MEMORY_IDENTITIES:
                self._known.discard(self._oldest.popleft())
            self._known.add(identity)
            self._oldest.append(identity)
        return False
