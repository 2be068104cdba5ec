"""Lines of text that end with CR LF, out of any split of the stream."""

import re

from drivers.contract import NOISE, Fault

_TEXT = re.compile(rb"[\x20-\x7e\x80-\xff]{3,}\r?")


class Lines:
    """Takes the stream apart at LF. A line too long is handed over once, cut after `max_bytes` + 1."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._rest = b""
        self._is_skipping = False

    def drop(self) -> None:
        """Forget what was half received."""
        self._rest, self._is_skipping = b"", False

    def feed(self, data: bytes) -> list[bytes]:
        """Whole lines without their LF and with what stands before it; blank ones are left out."""
        if self._is_skipping:
            at = data.find(b"\n")
            if at < 0:
                return []
            data, self._is_skipping = data[at + 1 :], False
        *whole, rest = (self._rest + data).split(b"\n")
        found = [line[: self._max + 1] for line in whole if len(line) > 1]
        if len(rest) > self._max:
            found.append(rest[: self._max + 1])
            rest, self._is_skipping = b"", True
        self._rest = rest
        return found


def no_frame(line: bytes) -> Fault:
    """What a line is that holds no data: text (a heading, another language), which is counted, or noise."""
    return Fault("text_line") if _TEXT.fullmatch(line) else Fault(NOISE)
