r"""Texts between STX and ETX, as many analyzers send them. What a text says is not read here.

    ┌─────┬──────┬───────────┬───────┐
    │ STX │ text │ ETX / ETB │ check │ ─▶ class B: ACK / NAK
    └─────┴──────┴───────────┴───────┘
           bounded              one byte of any value, where the protocol has one

`Framer` takes apart a stream in which nothing but STX and the ends counts. Where more control characters do, the
protocol reads them itself, in the order in which `Collector` meets them.
"""

import re
from collections.abc import Callable, Iterator

from drivers.contract import NOISE, Fault

STX, ETX, EOT, ENQ, ETB, SUB = 0x02, 0x03, 0x04, 0x05, 0x17, 0x1A
ACK, NAK = b"\x06", b"\x15"

_ANY_BYTE = re.compile(rb".", re.DOTALL)
_UNANSWERED = (NOISE, "truncated")
"""After these the device is still sending, or never was."""


def answer(fault: Fault | None) -> bytes:
    """What a device of class B waits for behind a text; nothing where it waits for none."""
    if fault is None:
        return ACK
    if fault.reason in _UNANSWERED:
        return b""
    return NAK if fault.rejected or fault.reason == "layout" else ACK


class Collector:
    """Holds one text of at most `limit` bytes. What stands outside of texts is noise, told once for each stretch.

    `tell` gets the faults. `marks`: the control characters that end a piece. `between`: bytes that are no noise.
    """

    def __init__(
        self, limit: int, marks: re.Pattern[bytes], tell: Callable[[Fault], None], *, between: bytes = b"\r\n"
    ) -> None:
        self._limit, self._tell, self._between = limit, tell, between
        self.marks = marks
        self.is_quiet = True
        """No noise was told since the last text."""
        self.close()

    def close(self) -> None:
        """Forget the text."""
        self.body = bytearray()
        self.is_open = self._is_ended = self._is_too_long = False

    def reset(self) -> None:
        """Nothing half received."""
        self.close()
        self.is_quiet = True

    @property
    def has_begun(self) -> bool:
        """Whether there is a text, and something in it."""
        return self.is_open and (bool(self.body) or self._is_too_long)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The marks in some bytes, one by one; what stands before each is in its place by then."""
        at = 0
        while at < len(data):
            found = self.marks.search(data, at)
            stop = found.start() if found else len(data)
            if self.is_open and not self._is_ended:
                self.keep(data[at:stop])
            else:
                self.pass_over(data[at:stop])
            if found is None:
                return
            at = found.end()
            yield found[0]

    def keep(self, piece: bytes) -> None:
        """More of the text."""
        if len(self.body) + len(piece) > self._limit:
            self._is_too_long = True
            self.body.clear()
        elif not self._is_too_long:
            self.body += piece

    def pass_over(self, piece: bytes) -> None:
        """Bytes of no text."""
        if self.is_quiet and piece.strip(self._between):
            self.is_quiet = False
            self._tell(Fault(NOISE))

    def begin(self) -> None:
        """A text begins."""
        self.abandon()
        self.is_open = self.is_quiet = True

    def end(self) -> None:
        """The text is whole, and waits for its verdict."""
        self._is_ended = True

    def abandon(self) -> None:
        """The text will not become whole; an STX alone was none."""
        if self.has_begun:
            self._tell(Fault("truncated", rejected=True))
        self.close()

    def take(self) -> bytes | Fault:
        """The text, which is no longer held; a fault where it was too long."""
        text = Fault("length", rejected=True) if self._is_too_long else bytes(self.body)
        self.close()
        return text


class Framer:
    """Takes a stream apart in any split: texts, each with its end and its check. Holds one unfinished text at most.

    `take` gets each text and says what is wrong with it; `settle` gets that, and what is wrong with the line: its
    faults, and None for a text that was taken.
    """

    def __init__(
        self,
        limit: int,
        take: Callable[[bytes], Fault | None],
        settle: Callable[[Fault | None], None],
        *,
        ends: bytes = b"\x03",
        has_check: bool = False,
        between: bytes = b"\r\n",
    ) -> None:
        self._take, self._settle = take, settle
        self._has_check = has_check
        self._marks = re.compile(rb"\x02+|[%s]" % ends)
        self._text = Collector(limit, self._marks, settle, between=between)
        self._end = b""

    def drop(self) -> None:
        """Forget what was half received."""
        self._text.reset()
        self._await(b"")

    def feed(self, data: bytes) -> None:
        """More bytes."""
        text = self._text
        for mark in text.pieces(data):
            if mark[0] == STX and not self._end:
                text.begin()
            elif not text.is_open:
                text.pass_over(mark)
            elif self._has_check and not self._end:
                self._await(mark)
            else:
                body, end = text.take(), self._end + mark
                self._await(b"")
                self._settle(body if isinstance(body, Fault) else self._take(body + end))

    def _await(self, end: bytes) -> None:
        """Behind an end the next byte is its check, whatever it is."""
        self._end = end
        self._text.marks = _ANY_BYTE if end else self._marks
