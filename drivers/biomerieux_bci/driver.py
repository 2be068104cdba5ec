"""bioMérieux mini VIDAS and VIDAS: one result a message, over the BCI protocol.

    ┌─────┬────┬──────────────────────────────────────┬────┬────────────────────┬────┬──────┬───────┬─────┐
    │ STX │ RS │ mtrsl|pi…|ci7|rtTSH|rnTSH|tt14:20|td │ RS │ 03/03/26|ql|qn0.80 │ GS │ 4e   │ CR LF │ ETX │
    └─────┴────┴──────────────────────────────────────┴────┴────────────────────┴────┴──────┴───────┴─────┘
           └────────────────── sum, modulo 256 ─────────────────────────────────┘ lower case;  ENQ before, EOT after

bioMérieux, mini VIDAS technical note 19 (VIC R2.15), section "Computer interface"; VIDAS PC user's manual, chapter 10
"Bidirectional Computer Interface". link.py has the session and the frames, results.py the fields.

Commit before ACK: a result stands in the Output whose `send` holds the ACK of its frame. If it cannot be committed,
`refusal` says NAK instead, the driver is thrown away, and the device sends the frame again. Nothing but ACK and NAK
is ever sent: no patient and no order is downloaded.
"""

from typing import ClassVar

from drivers.biomerieux_bci.link import NAK, Link
from drivers.biomerieux_bci.options import Options as BciOptions
from drivers.biomerieux_bci.results import Record, read_result
from drivers.contract import Fault, Output
from drivers.observation import AnyObservation, Device
from drivers.profile import Profile
from drivers.results import KnownResults

_DUPLICATE = Fault("duplicate_result")


class BiomerieuxBciDriver:
    """One analyzer. See `drivers.contract.StreamDriver`."""

    name: ClassVar[str] = "biomerieux_bci"
    version: ClassVar[int] = 1
    Options: ClassVar[type[BciOptions]] = BciOptions

    def __init__(self, profile: Profile, options: BciOptions) -> None:
        self._profile, self._options = profile, options
        self._link = Link(self._take)
        self._known = KnownResults()
        self._identity: dict[str, str] | None = None
        self._found: list[AnyObservation] = []
        self._promised_from = -1
        """How many bytes of reply stood before the frame with this step's first observation; -1: there is none."""

    def start(self, now: float) -> Output:
        """What was half received is forgotten, what was given out is still known."""
        self._link.reset()
        return self._output()

    def receive(self, data: bytes, now: float) -> Output:
        """Bytes as they came, in any split of the stream."""
        self._link.feed(data, now)
        return self._output()

    def wake(self, now: float) -> Output:
        """A frame or an ENQ that no more bytes follow; half a frame that stands still."""
        self._link.expire(now)
        return self._output()

    def stop(self, now: float) -> Output:
        """Say nothing: a frame that is not acknowledged is sent again."""
        return self.start(now)

    def _take(self, text: bytes) -> None:
        """The text of a verified frame, from the link."""
        record = Record.from_text(text.decode(self._options.encoding, "replace"))
        if isinstance(record, Fault):
            self._link.faults.append(record)
            return
        if record.flaw:
            self._link.faults.append(Fault(record.flaw))
        before = len(self._found)
        self._identify(record.get("sn"))
        result = read_result(record, self._profile, self._options)
        if self._known.is_repeat(result):
            self._link.faults.append(_DUPLICATE)
        else:
            self._found.append(result)
        if self._promised_from < 0 and len(self._found) > before:
            self._promised_from = len(self._link.replies)

    def _identify(self, serial: str) -> None:
        """Not every message tells the serial number."""
        if self._identity is None or (serial and self._identity != {"serial": serial}):
            self._identity = {"serial": serial} if serial else {}
            self._found.append(Device(connection="connected", validity="valid", identity=self._identity))

    def _output(self) -> Output:
        link = self._link
        send = bytes(link.replies)
        output = Output(
            send=send,
            observations=tuple(self._found),
            faults=tuple(link.faults),
            wake_at=link.deadline,
            frames=link.frames,
            refusal=send[: self._promised_from] + NAK if self._promised_from >= 0 else b"",
        )
        link.replies.clear()
        link.faults.clear()
        link.frames = 0
        self._found, self._promised_from = [], -1
        return output
