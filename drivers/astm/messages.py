"""Messages of E1394 / LIS02-A2: the text of frames into records, records into results once the L record is there.

Text is put together until a CR ends a record, so records may be split anywhere over frames and many may share one.
Nothing of a message is given out before its L record. A message that ends without one, or with a code that says it is
not whole, is partial (LIS02-A2 section 4.2): its results are kept as raw text, without value and never final; the
device sends it again, whole.
"""

import re

from msgspec import Struct
from msgspec.structs import replace

from drivers.astm.options import Options
from drivers.astm.records import (
    COMPLETE,
    Header,
    Order,
    is_device_flag,
    parse_comment,
    parse_completion,
    parse_reagents,
)
from drivers.astm.results import ResultReader, withhold
from drivers.contract import Fault
from drivers.framing.e1381 import Taken
from drivers.observation import AnyObservation, Device
from drivers.profile import Profile
from drivers.results import KnownResults

MAX_MESSAGE_BYTES = 4_000_000
MAX_MESSAGE_RECORDS = 10_000
"""Results and comments of one message that wait for its L record."""

_NO_ORDER = Order()
_BARE_BYTES = 16
_BARE_TERMINATOR = re.compile(rb"[Ll](?:[^\w\s][0-9]*(?:[^\w\s][A-Za-z]?)?)?")
"""An L record whose CR the device left out; the end of an ETX frame ends it."""

_WITHOUT_HEADER = Fault("record_without_header")
_PARTIAL = Fault("partial_message")
_BAD_HEADER = Fault("header")
_HOST_QUERY = Fault("host_query")
_STRAY_COMMENT = Fault("comment_not_on_result")
_PERSONS_COMMENT = Fault("comment_of_a_person")
_MANUFACTURER_RECORD = Fault("manufacturer_record")
_WRONG_DEVICE = Fault("wrong_device")
_DUPLICATE = Fault("duplicate_result")


class _Pending(Struct):
    """An R record that waits for the L record, and the comments on it."""

    record: str
    order: Order
    comments: tuple[str, ...] = ()


class MessageReader:
    """The records of one device. `found` and `faults` fill as text is taken; the caller empties them.

    It remembers the identities of the last 2,048 results, so that a session which a device repeats gives none twice.
    """

    def __init__(self, profile: Profile, options: Options) -> None:
        self._options = options
        self._results = ResultReader(profile, options)
        self._known = KnownResults()
        self._sender: dict[str, str] | None = None
        self._lots: dict[str, str] = {}
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
        self._is_after_order = False
        self._pending: list[_Pending] = []
        self._waiting = 0
        self._anchor: _Pending | None = None

    def take(self, text: bytes, *, is_last: bool) -> Taken:
        """Text of the next frame, `is_last` where ETX ended it; refused when the message grows beyond its limit."""
        self._size += len(text)
        if self._size > MAX_MESSAGE_BYTES or self._waiting + text.count(b"\r") > MAX_MESSAGE_RECORDS:
            self.discard()
            return "refused"
        whole = self._whole_records(text)
        if is_last and self._tail and len(self._tail) < _BARE_BYTES and _BARE_TERMINATOR.fullmatch(self._tail):
            whole += b"\r" + self._tail
            self._tail = bytearray()
        before = len(self.found)
        for record in whole.decode(self._options.encoding, "replace").split("\r"):
            if record:
                self._read(record)
        return "given_out" if len(self.found) > before else "kept"

    def _whole_records(self, text: bytes) -> bytes:
        """What `text` completes; the beginning of a further record is kept."""
        end = text.rfind(b"\r")
        if end < 0:
            self._tail += text
            return b""
        if not self._tail and end == len(text) - 1:
            return text[:end]
        whole = bytes(self._tail) + text[:end]
        self._tail = bytearray(text[end + 1 :])
        return whole

    def discard(self) -> None:
        """What is incomplete will not be completed: its results are kept raw; identities stay known."""
        is_partial = self._is_open or bool(self._tail)
        if is_partial:
            self._leave_partial(_PARTIAL)
        if is_partial or self._size:
            self._forget()

    def drop(self) -> None:
        """The box itself leaves: what is incomplete is counted, and the device will send it again."""
        self._pending.clear()
        self.discard()

    def _read(self, record: str) -> None:
        letter = record[0].upper()
        header = self._header
        if header is None and letter != "H":
            if not self._is_open:
                self.faults.append(_WITHOUT_HEADER)
        elif letter == "R":
            self._anchor = _Pending(record, self._order)
            self._pending.append(self._anchor)
            self._waiting += 1
        elif letter == "H" or header is None:
            self._read_header(record)
        elif letter == "C":
            self._read_comment(record, header)
        elif letter == "L":
            self._read_terminator(record, header)
        else:
            self._anchor = None
            self._is_after_order = letter == "O"
            self._read_other(letter, record, header)

    def _read_other(self, letter: str, record: str, header: Header) -> None:
        if letter == "O":
            self._order = Order.from_record(record, header.delimiters, self._options)
        elif letter == "P":
            self._order = _NO_ORDER  # whose the specimen is, is never read
        elif letter == "M":
            self._read_manufacturer(record, header)
        elif letter == "Q":
            self.faults.append(_HOST_QUERY)
        else:
            self.faults.append(Fault("unknown_record", letter if letter.isascii() and letter.isalpha() else "?"))

    def _read_header(self, record: str) -> None:
        if self._is_open:
            self._leave_partial(_PARTIAL)
        self._close_message()
        self._is_open = True
        header = self._header = Header.from_record(record, self._options)
        if header is None:
            self.faults.append(_BAD_HEADER)
            return
        if header.is_foreign:
            self.faults.append(_WRONG_DEVICE)
        if header.identity != self._sender:
            self._sender, self._lots = header.identity, {}
            self._tell_device(header)

    def _read_manufacturer(self, record: str, header: Header) -> None:
        """Histograms, matrices, raw rates: never decoded, only counted; the lots of the reagents are read."""
        lots = parse_reagents(record, header.delimiters, self._options)
        if not lots:
            self.faults.append(_MANUFACTURER_RECORD)
        elif lots != self._lots:
            self._lots = lots
            self._tell_device(header)

    def _tell_device(self, header: Header) -> None:
        reason = "wrong_device" if header.is_foreign else ""
        identity = {**header.identity, **self._lots}
        self.found.append(Device(connection="connected", validity="valid", reason=reason, identity=identity))

    def _read_comment(self, record: str, header: Header) -> None:
        concerns_order = self._anchor is None and self._is_after_order and self._options.order_flags
        if self._anchor is None and not (concerns_order and is_device_flag(record, header.delimiters)):
            self.faults.append(_STRAY_COMMENT)
            return
        text = parse_comment(record, header.delimiters, self._options)
        if text is None:
            self.faults.append(_PERSONS_COMMENT)
        elif text:
            self._waiting += 1
            if self._anchor is None:
                self._order = replace(self._order, flags=(*self._order.flags, text))
            else:
                self._anchor.comments += (text,)

    def _read_terminator(self, record: str, header: Header) -> None:
        code = parse_completion(record, header.delimiters)
        if code in COMPLETE:
            self._give_out(header, "wrong_device" if header.is_foreign else "")
        else:
            self._leave_partial(Fault("partial_message", code if len(code) == 1 and code.isascii() else "?"))
        self._close_message()
        self._size = 0

    def _leave_partial(self, fault: Fault) -> None:
        self.faults.append(fault)
        if self._header is not None:
            self._give_out(self._header, "partial")

    def _give_out(self, header: Header, withheld: str) -> None:
        """The results of the message; with a reason to withhold them, their raw text alone."""
        met: set[str] = set()
        order, above = _NO_ORDER, ""
        for pending in self._pending:
            if pending.order is not order:
                order, above = pending.order, ""
            comments = order.flags + pending.comments
            seen = self._results.observe_result(pending.record, header, order, comments, met, above)
            if self._options.status_required:
                above = seen.completed or above
            if withheld:
                seen = withhold(seen, withheld, met)
            if self._known.is_repeat(seen):
                self.faults.append(_DUPLICATE)
            else:
                self.found.append(seen)
