"""GE Dash patient monitors: bed messages in UDP datagrams, heard as they come, or asked for.

    monitor ─▶ ┌───────────┬───────────┬──────────────────────────────────────────┬──────────┬─────┐ ─▶ UDP 3073
      each 2 s │ header 60 │ header 60 │ alarm state, level, admission, number: 6 │ entry 70 │  …  │
               └───────────┴───────────┴──────────────────────────────────────────┴──────────┴─────┘
               ┌───────────┬───┬──────┬───────┬─────────┬───────────┐ ─▶ UDP 7001, broadcast
               │ header 60 │ 3 │ code │ 2     │ text 14 │ counter 4 │
               └───────────┴───┴──────┴───────┴─────────┴───────────┘
    box ─────▶ ┌────────────────────────────────────────────┬───┐ ─▶ UDP 2000, each 5 s, if the profile asks
               │ header 60: function 202, sub 96 (00CA 0060)│ 2 │
               └────────────────────────────────────────────┴───┘

mdpnp, `GESerial.java`, section `consume`; mindleaving/gedash, `NetworkCommunication`, and its request in
`VitalSignRequestData.cs`. No document of the maker has been read. frames.py reads datagrams, observe.py and alarms.py
what they say; announcement.py is for the search of the network. The monitor takes remote configuration on the same
port as the request (GE, 2000966-542, page C-2): the only octets that are ever sent stand in profile.toml.
"""

from typing import ClassVar

from drivers.contract import Fault, Output
from drivers.conversation import Conversation
from drivers.ge_dash import frames
from drivers.ge_dash.alarms import Alarms
from drivers.ge_dash.frames import Broadcast, Parameters
from drivers.ge_dash.observe import Observer
from drivers.ge_dash.options import Options as GeDashOptions
from drivers.profile import Profile

REQUEST = "parameters request (202.96)"
"""The rule of the allow-list whose octets are sent; a profile without it only listens."""
PERIODS_S = (5.0, 10.0, 30.0, 60.0)
"""From one request to the next: the public client's, and longer while nothing comes."""
ALONE_S = 300.0
"""Where two have spoken, one is read again when it was the only one for so long."""
_HALF = 0x8000
_NEVER = float("-inf")


class GeDashDriver(Conversation):
    """One monitor. No goodbye is known: a monitor that is not asked again ceases by itself."""

    name: ClassVar[str] = "ge_dash"
    version: ClassVar[int] = 1
    Options: ClassVar[type[GeDashOptions]] = GeDashOptions

    def __init__(self, profile: Profile, _options: GeDashOptions) -> None:
        super().__init__(profile)
        self._observer = Observer(profile, self._mds)
        self._alarms = Alarms(profile, self._mds)
        self._request = next((bytes.fromhex(rule.hex) for rule in profile.allowed if rule.name == REQUEST), b"")
        self._asked_at, self._ask_at, self._unanswered = _NEVER, _NEVER, 0
        self._address, self._is_crowded, self._changed_at = b"", False, _NEVER
        self._sequence, self._is_in_order = -1, False
        self._has_values = False

    def start(self, now: float) -> Output:
        """The port has just opened: any monitor may be there; a request goes unless one has just gone."""
        self._address, self._is_crowded, self._sequence = b"", False, -1
        self._unanswered, self._ask_at = 0, self._asked_at + PERIODS_S[0]
        return super().start(now)

    def receive(self, data: bytes, now: float) -> Output:
        """One datagram."""
        return super().receive(data, now) if self._is_open else Output()

    def _forget(self) -> None:
        self._observer.forget()
        self._is_in_order = self._has_values = False

    def _fall_silent(self) -> None:
        """Broadcasts come with alarms only: after them silence is no sign that the monitor is gone."""
        had_alarms_only = self._mds.connection == "connected" and not self._has_values
        self._observations += self._mds.link("stale", "alarms_only" if had_alarms_only else "silence")
        if self._request:
            self._faults.append(Fault("timeout", "parameters"))
        self._forget()

    def _receive(self, data: bytes) -> None:
        seen = frames.read(data)
        if isinstance(seen, Fault):
            self._fault(seen)
        elif self._is_ours(seen.address):
            self._take(seen)

    def _is_ours(self, address: bytes) -> bool:
        """Whether all speak for one bed; where two do, nobody knows which was meant, until one is long alone.

        A port of datagrams is never reopened: one that strayed here must not end the watch over a bed for ever.
        """
        is_new, self._address = self._address not in (b"", address), address
        if is_new:
            self._changed_at = self._now
        elif self._now >= self._changed_at + ALONE_S:
            self._is_crowded = False
        if not is_new and not self._is_crowded:
            return True
        self._fault(Fault("wrong_device", rejected=True))
        if not self._is_crowded:
            self._is_crowded = True
            self._observations += self._observer.withdraw("wrong_device") + self._alarms.end("wrong_device")
            self._observations.append(self._mds.told("wrong_device"))
        return False

    def _take(self, seen: Parameters | Broadcast) -> None:
        if isinstance(seen, Broadcast):
            self._verified()
            self._observations += self._alarms.broadcast(seen, self._now)
            return
        if not self._is_next(seen.sequence):
            return
        self._verified()
        self._has_values = True
        self._unanswered = 0
        self._ask_at = min(self._ask_at, self._asked_at + PERIODS_S[0])
        self._observations += self._observer.observe(seen) + self._alarms.level(seen.level)

    def _is_next(self, sequence: int) -> bool:
        """A network doubles and swaps datagrams: what is not later than the last one says nothing new.

        After a silence any other number will do: the monitor may have been switched off and on.
        """
        ahead = (sequence - self._sequence) % (2 * _HALF)
        if ahead == 0 and self._sequence >= 0:
            self._fault(Fault("duplicate"))
        elif self._is_in_order and ahead >= _HALF:
            self._fault(Fault("out_of_order"))
        else:
            self._sequence, self._is_in_order = sequence, True
            return True
        self._frames += 1
        return False

    def _speak(self) -> bytes:
        if not self._is_open:
            return b""
        self._observations += self._alarms.expire(self._now)
        if not self._request or self._now < self._ask_at:
            return b""
        period = PERIODS_S[min(self._unanswered, len(PERIODS_S) - 1)]
        self._asked_at, self._ask_at = self._now, self._now + period
        self._unanswered += 1
        return self._request

    def _wake_times(self) -> list[float]:
        times = super()._wake_times()
        if self._request:
            times.append(self._ask_at)
        if self._alarms.expires_at < float("inf"):
            times.append(self._alarms.expires_at)
        return times
