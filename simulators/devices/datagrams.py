"""What a network does to datagrams: one is lost, doubled, overtaken or cut short, and none is ever half of another.

Shared by the simulators of devices that speak by datagrams, always or with an option.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from simulators.devices.simulator import COMMON_FAULTS, Emission, Simulator

SWAP_S = 1.0
"""How long a datagram waits for one that overtakes it."""
STREAM_FAULTS = frozenset({"bad_checksum", "two_in_one", "byte_by_byte"})
"""Common faults that cannot happen to a datagram."""
NETWORK_FAULTS: Mapping[str, str] = MappingProxyType(
    {name: what for name, what in COMMON_FAULTS.items() if name not in STREAM_FAULTS}
    | {
        "half_frame": "only the first half of a datagram arrives",
        "lost_reply": "a datagram never arrives",
        "duplicate": "a datagram arrives twice",
        "swapped": "a datagram arrives behind the one that was sent after it",
    }
)


class Datagrams(Simulator):
    """Base of devices on a network; while `is_datagram` is not set it is a plain simulator."""

    def _strikes(self, fault: str) -> bool:
        return not (self.is_datagram and fault in STREAM_FAULTS) and super()._strikes(fault)

    def _emit(self, frame: bytes, at: float) -> Emission:
        if not self.is_datagram:
            return super()._emit(frame, at)
        if self._held:
            overtaken, self._held = self._held, b""
            self._line.put(frame, at)
            self._line.put(overtaken, at)
            return Emission(1)
        if self._strikes("swapped"):
            self._held, self._held_until = frame, at + SWAP_S
            return Emission(1, "swapped")
        return super()._emit(frame, at)

    def _emit_struck(self, fault: str, frame: bytes, at: float) -> Emission:
        if self.is_datagram and fault == "duplicate":
            self._line.put(frame, at)
            self._line.put(frame, at)
            return Emission(2, fault)
        if self.is_datagram and fault == "half_frame":
            self._line.put(frame[: max(1, len(frame) // 2)], at)
            return Emission(0, fault)
        return super()._emit_struck(fault, frame, at)
