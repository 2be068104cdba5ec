"""Horiba ABX Micros 60: the ABX format, sent unasked. The box only listens.

    ┌─────┬───────┬────┬──────────────┬────┬──────────────┬────┬───┬─────────────────┬────┬─────┐
    │ STX │ 00769 │ CR │ FFH ␣ RESULT │ CR │ ! ␣ 006.1 ␣l │ CR │ … │ FDH ␣ checksum  │ CR │ ETX │  SOH before,
    └─────┴───────┴────┴──────────────┴────┴──────────────┴────┴───┴─────────────────┴────┴─────┘  optional
            characters between STX and ETX,    fields in any order and number                     optional
            may be absent

HORIBA ABX, output formats RAA024 and RAA031, section "ABX Format". Neither asks the host for an answer, so nothing is
ever sent. frames.py finds frames and decides whether they are well formed, results.py reads them.
"""

from typing import ClassVar

from drivers.contract import Fault, Output
from drivers.horiba_abx.frames import VERSION, Framer, Message
from drivers.horiba_abx.options import Options as HoribaAbxOptions
from drivers.horiba_abx.results import read_results
from drivers.observation import AnyObservation, Device
from drivers.profile import Profile
from drivers.results import KnownResults

_DUPLICATE = Fault("duplicate_result")


class HoribaAbxDriver:
    """One analyzer. See `drivers.contract.StreamDriver`."""

    name: ClassVar[str] = "horiba_abx"
    version: ClassVar[int] = 1
    Options: ClassVar[type[HoribaAbxOptions]] = HoribaAbxOptions

    def __init__(self, profile: Profile, options: HoribaAbxOptions) -> None:
        self._profile, self._options = profile, options
        self._framer = Framer()
        self._known = KnownResults()
        self._identity: dict[str, str] | None = None
        self._found: list[AnyObservation] = []
        self._faults: list[Fault] = []
        self._frames = 0

    def start(self, now: float) -> Output:
        """What was half received is forgotten, what was given out is still known."""
        self._framer.drop()
        return Output()

    def receive(self, data: bytes, now: float) -> Output:
        """Bytes as they came, in any split of the stream."""
        for item in self._framer.feed(data):
            fault = item if isinstance(item, Fault) else self._take(item)
            if fault is not None:
                self._faults.append(fault)
        output = Output(observations=tuple(self._found), faults=tuple(self._faults), frames=self._frames)
        self._found, self._faults, self._frames = [], [], 0
        return output

    def wake(self, now: float) -> Output:
        """Nothing is ever due."""
        return Output()

    def stop(self, now: float) -> Output:
        """Nothing is said; half a frame is none."""
        return self.start(now)

    def _take(self, message: Message) -> Fault | None:
        results = read_results(message, self._profile, self._options)
        if isinstance(results, Fault):
            self._frames += not results.rejected
            return results
        self._frames += 1
        self._identify(message.fields.get(VERSION, "").strip())
        for result in results:
            if self._known.is_repeat(result):
                self._faults.append(_DUPLICATE)
            else:
                self._found.append(result)
        return None

    def _identify(self, software: str) -> None:
        identity = {"software": software} if software else {}
        if identity != self._identity:
            self._identity = identity
            self._found.append(Device(connection="connected", validity="valid", identity=identity))
