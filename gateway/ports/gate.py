"""The choke point of law 3: every byte towards a device passes here, or does not go."""

import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

from drivers.observation import SourceAuth
from drivers.profile import Allowed
from gateway.ports.port import StreamPort

Verdict = Literal["sent", "listen_only", "silenced", "not_allowed", "too_often"]
Trace = Callable[[Literal["rx", "tx"], bytes], None]
MINUTE_S = 60.0


class SendGate:
    """Decides on each send: allow-list, rate, and silence after bytes that could not be verified."""

    def __init__(self, allow: Sequence[Allowed], max_per_minute: int, *, may_send: bool) -> None:
        self._rules = tuple(allow)
        rules = b"|".join(rule.regex() for rule in allow)
        self._one = re.compile(rules or b"(?!)", re.DOTALL)
        self._all = re.compile(b"(?:" + (rules or b"(?!)") + b")+", re.DOTALL)
        self._max = max_per_minute
        self._may_send = may_send
        self._sent: deque[float] = deque()
        self.is_silenced = False

    def silence(self) -> None:
        """Bytes that could not be verified came in answer: nothing more is sent until `resume()`."""
        self.is_silenced = True

    def resume(self) -> None:
        """A good frame came, or a person said so."""
        self.is_silenced = False

    def judge(self, data: bytes, now: float) -> Verdict:
        """Whether `data`, one or more whole frames, may go at monotonic time `now`; counts it if so."""
        if not self._may_send:
            return "listen_only"
        if self.is_silenced:
            return "silenced"
        if not self._all.fullmatch(data):
            return "not_allowed"
        found = [match[0] for match in self._one.finditer(data)]
        if not all(any(rule.fits(frame) for rule in self._rules) for frame in found):
            return "not_allowed"
        frames = len(found)
        while self._sent and self._sent[0] <= now - MINUTE_S:
            self._sent.popleft()
        if len(self._sent) + frames > self._max:
            return "too_often"
        self._sent.extend([now] * frames)
        return "sent"


class GatedPort:
    """A stream port that only writes what its gate lets through, and shows every byte to `trace`."""

    def __init__(self, port: StreamPort, gate: SendGate, trace: Trace | None = None) -> None:
        self._port, self.gate, self._trace = port, gate, trace

    @property
    def name(self) -> str:
        """The port as the configuration writes it."""
        return self._port.name

    @property
    def source_auth(self) -> SourceAuth:
        """How sure it is who speaks on this port."""
        return self._port.source_auth

    async def open(self) -> None:
        """See `StreamPort.open`."""
        await self._port.open()

    async def read(self) -> bytes:
        """See `StreamPort.read`."""
        data = await self._port.read()
        if self._trace:
            self._trace("rx", data)
        return data

    async def write(self, data: bytes, now: float) -> Verdict:
        """Write `data` if the gate lets it; says what became of it."""
        verdict = self.gate.judge(data, now)
        if verdict == "sent":
            await self._port.write(data)
            if self._trace:
                self._trace("tx", data)
        return verdict

    async def close(self) -> None:
        """See `StreamPort.close`."""
        await self._port.close()

    async def release(self) -> None:
        """See `StreamPort.release`."""
        await self._port.release()
