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

from drivers.biomerieux_bci.link import Link
from drivers.biomerieux_bci.options import Options as BciOptions
from drivers.biomerieux_bci.results import Record, read_result
from drivers.contract import Fault, Output
from drivers.profile import Profile
from drivers.results import Step


class BiomerieuxBciDriver:
    """One analyzer. See `drivers.contract.StreamDriver`."""

    name: ClassVar[str] = "biomerieux_bci"
    version: ClassVar[int] = 1
    Options: ClassVar[type[BciOptions]] = BciOptions

    def __init__(self, profile: Profile, options: BciOptions) -> None:
        self._profile, self._options = profile, options
        self._step = Step()
        self._link = Link(self._step, self._take)
        self._serial = ""

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
            self._step.faults.append(record)
            return
        if record.flaw:
            self._step.faults.append(Fault(record.flaw))
        self._serial = record.get("sn") or self._serial  # not every message tells it
        self._step.identify({"serial": self._serial} if self._serial else {})
        self._step.publish([read_result(record, self._profile, self._options)])

    def _output(self) -> Output:
        return self._step.output(self._link.deadline)
