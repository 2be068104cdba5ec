r"""Laboratory analyzers over ASTM: E1394-97 / LIS02-A2 records in E1381-95 / LIS1-A frames.

    device    ENQ │ STX 1 H|\^&|||…CR … R|1|^^^GLU|5.5|mmol/L||N||F…CR L|1|N CR ETX C1 C2 CR LF │ EOT
    box           ACK                                                                            ACK

Records, fields from 1 (LIS02-A2 sections 6 to 12): H-2 delimiters, H-5 sender, H-12 processing id, H-14 time;
O-3 specimen, O-12 action (Q: quality control), O-16 specimen type, O-26 report type; R-3 test, R-4 value, R-5 unit,
R-6 range, R-7 flags, R-9 status, R-12 started, R-13 completed, R-14 instrument; C-4 comment; L-3 completion.

Commit before ACK: the results of a message stand in the Output whose `send` holds the ACK of the frame in which its L
record ends. If they cannot be committed, `refusal` says NAK instead. The driver then believes what is not so, and is
thrown away; a fresh one starts in neutral state, ignores the retransmitted frame as the standard says (counted
`frame_without_enq`), and the device, after 15 s without an answer, ends with EOT and repeats the message from ENQ.

Results of a partial message are kept raw when it ends (EOT, ENQ, 30 s, a new H, a lost connection); nothing promises
them, for the device sends the message again.

Nothing but ACK and NAK is ever sent: the box does not ask for the line, orders no test, and answers no query.
"""

from typing import ClassVar

from msgspec import Struct

from drivers.astm.messages import MessageReader
from drivers.astm.options import Options
from drivers.contract import Output
from drivers.framing.e1381 import NAK, Receiver
from drivers.profile import Profile


class AstmDriver:
    """One analyzer. See `drivers.contract.StreamDriver`."""

    name: ClassVar[str] = "astm"
    version: ClassVar[int] = 1
    Options: ClassVar[type[Struct]] = Options

    def __init__(self, profile: Profile, options: Struct) -> None:
        if not isinstance(options, Options):
            raise TypeError("options of another driver")
        self._messages = MessageReader(profile, options)
        self._link = Receiver(self._messages)
        self._link.faults = self._messages.faults  # one list: the order in which things were met, at any chunking

    def start(self, now: float) -> Output:
        """Neutral: what was half received is kept raw, what was given out is still known."""
        self._link.reset()
        self._messages.discard()
        return self._output()

    def receive(self, data: bytes, now: float) -> Output:
        """Bytes as they came, in any split of the stream."""
        self._link.feed(data, now)
        return self._output()

    def wake(self, now: float) -> Output:
        """The receiver's time-out of 30 s, or an ENQ that no more bytes follow."""
        self._link.expire(now)
        return self._output()

    def stop(self, now: float) -> Output:
        """Say nothing: a message that is not acknowledged is repeated by the device."""
        self._link.reset()
        self._messages.drop()
        return self._output()

    def _output(self) -> Output:
        link, messages = self._link, self._messages
        send = bytes(link.replies)
        link.replies.clear()
        frames, link.frames = link.frames, 0
        if not (messages.found or link.faults):
            return Output(send=send, wake_at=link.deadline, frames=frames)
        output = Output(
            send=send,
            observations=tuple(messages.found),
            faults=tuple(link.faults),
            wake_at=link.deadline,
            frames=frames,
            refusal=send[: link.promised_from] + NAK if link.promised_from >= 0 else b"",
        )
        link.faults.clear()
        messages.found.clear()
        link.promised_from = -1
        return output
