"""Law 3 on one line: bytes that could not be verified end the sending, and when it may go on."""

from typing import Literal

from drivers.contract import NOISE, Output
from drivers.profile import Protocol
from gateway.ports.gate import SendGate

Heard = Literal["nothing", "verified", "unverified"]

QUIET_S = (60.0, 300.0, 1800.0, 3600.0)
"""A device that cannot speak first is asked again after bytes that could not be verified, ever later."""
NOISE_QUIET_S = (3.0, 10.0, 30.0, 60.0)
"""The same where a frame was verified once: make and line are right, so the bytes were noise."""


class LineTrust:
    """Silences the gate of a device that is asked, and opens it again; pure, and told the time.

    A verified frame opens it at once. A device that never speaks unasked would be silent for ever, so it is asked
    again after a pause, which grows while what comes back stays unverified.
    """

    def __init__(self, gate: SendGate, protocol: Protocol) -> None:
        self._gate, self._protocol = gate, protocol
        self._is_known = False
        self._unverified = 0
        self.ask_again_at = 0.0
        """Not before this time is a device asked again that only answers."""

    def reopened(self, now: float) -> None:
        """The port was lost and is back: somebody may have put the plug in, an hour's pause is for nobody there.

        It may be another device's plug: what was verified before says nothing of who answers now.
        """
        self._is_known = False
        self.ask_again_at = min(self.ask_again_at, now + QUIET_S[0])

    def heard(self, output: Output, now: float) -> Heard:
        """What the driver made of the bytes that came decides whether the box may go on sending."""
        if not self._protocol.asks:
            return "nothing"
        if output.frames:
            self._gate.resume()
            self._unverified, self._is_known = 0, True
            return "verified"
        if not any(fault.rejected or fault.reason == NOISE for fault in output.faults):
            return "nothing"
        if not self._gate.is_silenced:
            pauses = NOISE_QUIET_S if self._is_known else QUIET_S
            self.ask_again_at = now + pauses[min(self._unverified, len(pauses) - 1)]
            self._unverified += 1
        self._gate.silence()
        return "unverified"

    def about_to_send(self, now: float) -> None:
        """Open the gate if the pause of a device that only answers is over."""
        if self._protocol.answers_only and now >= self.ask_again_at:
            self._gate.resume()
