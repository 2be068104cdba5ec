"""The network: each datagram is one PDU, without any framing and without a check of its own.

UDP's checksum is all there is. What a datagram holds is believed when its first byte is one that a monitor sends,
when every count and every length in it closes, and when its invoke id and poll number are those of a poll that was
sent. VSCaptureMP (xeonfusion), Class1.cs; mdpnp, Intellivue.java.
"""

from drivers.contract import NOISE, Fault
from drivers.philips_intellivue.mib import MAX_PAYLOAD, Frame
from drivers.philips_intellivue.pdus import FIRST_BYTES


class Datagrams:
    """Takes no stream apart; in the place of a `mib.Framer`."""

    is_inside = False
    """Nothing is ever waited for."""

    def drop(self) -> list[Fault]:
        """There is nothing to forget."""
        return []

    def feed(self, data: bytes) -> list[Frame | Fault]:
        """What one datagram holds."""
        if not data:
            return []
        if data[0] not in FIRST_BYTES:
            return [Fault(NOISE)]
        if len(data) > MAX_PAYLOAD:
            return [Fault("length", "too long", rejected=True)]
        return [Frame(data)]
