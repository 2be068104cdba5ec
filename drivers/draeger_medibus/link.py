"""The MEDIBUS link as the box keeps it: handshake, timers, one outstanding command, poll plan.

Dräger, MEDIBUS protocol definition rev 4.03 (90 28 258, 7th ed. 2003), "Initialisation", "Timing", "Flow control".
Nothing here reads a value; nothing here repeats without end.
"""

from collections import deque
from collections.abc import Sequence

from drivers.contract import Fault
from drivers.draeger_medibus.frames import NAK, REFUSAL, Command, Response, is_code
from drivers.draeger_medibus.options import Options
from drivers.draeger_medibus.realtime import enable

NOP, TIME_CHANGED, CONFIGURE, ICC, IDENTIFY = 0x30, 0x49, 0x4A, 0x51, 0x52
CURVES, CONFIGURE_CURVES, STOP, CURVES_CHANGED = 0x53, 0x54, 0x55, 0x56
IDENTIFICATION = Response(IDENTIFY, b"0161'JISR'01.00:04.03").to_bytes()
"""Who we are: id 0161 (a PC), name, our revision and the MEDIBUS revision. Evita 4 refuses an empty one."""

ICC_SILENT_S, ICC_BUSY_S = 3.0, 10.0
"""Our ICC again: after 3 s in which no character came, after 10 s in which some did but no whole answer."""
ICC_EAGER, ICC_PATIENT_S = 20, 30.0
"""After this many calls that nobody answered, one each half minute is enough."""
IDLE_S = 3.0
NOP_S = 2.0
RESPONSE_S = 10.0
REPEATS = 3
SETTLE_S = 0.2
RESUME_S = 3.0
RETRY_S = 1.0
"""A command that was refused is sent again no sooner, so that a device that refuses all is not flooded."""
ENABLE_S = 5.0
"""Enabling curves is not acknowledged: repeated."""
RESTS_S = (3.0, 10.0, 30.0, 60.0)
"""How long nothing is asked after a command failed for good; longer each time, until a poll is answered."""
SHELVED_S = 300.0
"""A command that failed for good is left out for so long."""
COMMANDS, COMMANDS_S = 400, 60.0
"""Most commands of ours within a minute, however the device behaves: the plan at its fastest needs 342."""
ANSWERS, ANSWERS_S = 6, 3.0
"""Most answers to the device's own commands within 3 s; one that asks more often is not answered."""

_WITH_ARGUMENT = (CONFIGURE, CURVES, CONFIGURE_CURVES)
"""And 53H, which asks for nothing but what 54H would configure."""


class Link:
    """State of one link. `take()` gives what is to be sent, `wake_at()` when time alone changes something."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._periods = {item: options.period_s(item) for item in options.plan}
        self.faults: list[Fault] = []
        self._out: list[bytes] = []
        self._answered: deque[float] = deque(maxlen=ANSWERS)
        self._commands: deque[float] = deque(maxlen=COMMANDS)
        self._shelved: dict[str, float] = {}
        self.is_open = False
        self.last_heard = 0.0
        """When the last character but real-time ones came."""
        self._has_spoken = False
        """Since the port opened: to whom we spoke, we say goodbye."""
        self._reset(0.0)

    def _reset(self, now: float) -> None:
        self.is_up = False
        self._next_icc, self._last_icc, self._calls = now, now, 0
        self._has_heard = False
        self.last_heard = self._last_sent = now
        self._suspended_at: float | None = None
        self._failures = 0
        self._forget()

    def _forget(self) -> None:
        """After an ICC all that was outstanding or configured is void."""
        self._outstanding: bytes = b""
        self._item = ""
        self._echo, self._tries = 0, 0
        self._deadline = 0.0
        self._retry_at: float | None = None
        self._is_damaged = False
        self._setup: deque[Command] = deque()
        self._due: dict[str, float] = {}
        self._settled_at = 0.0
        self._streams = 0
        self._enable_at = 0.0
        self._is_plain = False
        """The device must not be sent commands with arguments."""

    def start(self, now: float) -> None:
        """The port has just opened: call the device at once."""
        self._out.clear()
        self._answered.clear()
        self._reset(now)
        self.is_open, self._has_spoken = True, False

    def halt(self) -> None:
        """Nothing is sent any more, whatever comes."""
        self.is_open = self.is_up = False
        self._out.clear()

    def stop(self) -> None:
        """Leave in order: STOP, if anything was said to the device and it lets us speak.

        Also before the link is up and after it was lost: the device may believe in it (manual: communication error).
        """
        goodbye = self.is_open and self._has_spoken and self._suspended_at is None
        self.halt()
        if goodbye:
            self._out.append(Command(STOP).to_bytes())

    def heard(self, now: float) -> None:
        """Any character but real-time ones keeps the link alive."""
        self.last_heard = now
        self._has_heard = True

    def command(self, command: Command, now: float) -> None:
        """The device asks: every command is answered, known or not."""
        if self._is_damaged:
            self._retry_at = now
        if not is_code(command.code):
            self.faults.append(Fault("unknown_command", f"{command.code:02X}"))
            return
        if command.code == IDENTIFY:
            if self._answer(IDENTIFICATION, now):
                self._settled_at = now + SETTLE_S
            return
        self._answer(Response(command.code).to_bytes(), now)
        if command.code == ICC:
            self._initialise(now)
        elif command.code == STOP:
            self._has_spoken = False
            self._forget()
            self._call_at(now + ICC_BUSY_S)
        elif command.code == TIME_CHANGED and "28" in self._due:
            self._due["28"] = now
        elif command.code == CURVES_CHANGED and self._options.curve_codes and self.is_up and not self._is_plain:
            self._streams = 0
            self._setup.append(Command(CURVES))

    def refuse(self, now: float) -> None:
        """A command came damaged."""
        self._answer(REFUSAL, now)

    def damaged(self) -> None:
        """The answer came, but could not be verified: the question comes again once a good frame has come."""
        self._is_damaged = bool(self._outstanding)

    def _answer(self, frame: bytes, now: float) -> bool:
        if not self.is_open:
            return False
        if len(self._answered) == ANSWERS and now - self._answered[0] < ANSWERS_S:
            self.faults.append(Fault("too_many_commands"))
            return False
        self._answered.append(now)
        self._send(frame, now)
        return True

    def response(self, response: Response, now: float) -> None:
        """The device answers; only the answer that is awaited ends the waiting."""
        if response.echo == NAK:
            self.failed(now, "refused")
        elif response.echo == ICC:
            self._initialise(now)
        elif self._outstanding and response.echo == self._echo:
            if self._item:
                self._failures = 0
                self._shelved.pop(self._item, None)
            if response.echo == CONFIGURE_CURVES:
                self._enable_at = now
            self._outstanding, self._item, self._retry_at = b"", "", None
            self._is_damaged = False

    def signal(self, kind: str, now: float) -> None:
        """DC1, DC3, CAN."""
        if kind == "suspend":
            if self._suspended_at is None:
                self._suspended_at = now
        elif kind == "resume":
            self._suspended_at = None
        else:
            self.failed(now, "aborted")

    def failed(self, now: float, reason: str) -> None:
        """The outstanding command was refused or its answer broken off: once more, a little later."""
        self.faults.append(Fault(reason))
        if self._outstanding and self._retry_at is None:
            self._retry_at = now + RETRY_S

    def configure_curves(self, codes: Sequence[str]) -> None:
        """Ask for these streams, in this order, each sample (multiplier 01)."""
        if codes and self.is_up and not self._is_plain:
            self._streams = len(codes)
            self._enable_at = float("inf")
            self._setup.append(Command(CONFIGURE_CURVES, b"".join(code.encode("ascii") + b"01" for code in codes)))

    def ask_plainly(self) -> None:
        """An old device: nothing with an argument is asked of it until the link begins anew."""
        self._is_plain = True
        self._setup = deque(command for command in self._setup if command.code not in _WITH_ARGUMENT)
        self._due = {item: due for item, due in self._due.items() if len(item) == len("24")}
        self.faults.append(Fault("no_arguments"))

    def _initialise(self, now: float) -> None:
        """An ICC, or the answer to ours, came: the link is up, and the device has forgotten all configuration."""
        if not self.is_open:
            return
        settled = self._settled_at
        self._forget()
        self._settled_at = max(settled, now + SETTLE_S)
        self.is_up, self._calls = True, 0
        self._setup.append(Command(IDENTIFY))
        if self._options.report:
            group, code = self._options.report[:2], self._options.report[2:]
            self._setup.append(Command(CONFIGURE, bytes.fromhex(group) + code.encode("ascii")))
        if self._options.curve_codes and max(self._shelved.get(i, now) for i in ("53", "54")) <= now:
            self._setup.append(Command(CURVES))
        self._due = {item: max(now, self._shelved.get(item, now)) for item in self._periods}

    def tick(self, now: float) -> None:
        """Send what is due, and at most one command."""
        if not self.is_open:
            return
        if self._suspended_at is not None:
            if now < self._suspended_at + RESUME_S:
                return
            self._suspended_at = None
            self._out.clear()
            self._lose(now, "not_resumed")
        if self.is_up and now >= self.last_heard + IDLE_S:
            self._lose(now, "link_lost")
        if now < self._free_at():
            return
        if not self.is_up:
            self._call(now)
        elif self._outstanding:
            self._wait(now)
        elif now >= self._settled_at:
            self._ask(now)

    def _lose(self, now: float, reason: str) -> None:
        self.faults.append(Fault(reason))
        self._forget()
        self._call_at(now)

    def _call_at(self, when: float) -> None:
        self.is_up = False
        self._next_icc = when

    def _call(self, now: float) -> None:
        if now < self._call_due():
            return
        self._calls += 1
        self._last_icc, self._has_heard = now, False
        self._next_icc = now + (ICC_SILENT_S if self._calls < ICC_EAGER else ICC_PATIENT_S)
        self._speak(Command(ICC).to_bytes(), now)

    def _call_due(self) -> float:
        """Characters that are no whole answer may be one that is still coming."""
        busy = self._has_heard and self._calls
        return max(self._next_icc, self._last_icc + ICC_BUSY_S) if busy else self._next_icc

    def _wait(self, now: float) -> None:
        if now < self._again_at():
            return
        if now >= self._deadline:
            self.faults.append(Fault("timeout", f"{self._echo:02X}"))
        if self._tries > REPEATS:
            self._give_up(now)
            return
        self._transmit(now)

    def _again_at(self) -> float:
        return self._deadline if self._retry_at is None else min(self._deadline, self._retry_at)

    def _give_up(self, now: float) -> None:
        """Three repeats were not answered: begin anew, after a rest, without what failed."""
        if self._item:
            self._shelved[self._item] = now + SHELVED_S
            self.faults.append(Fault("shelved", self._item))
        rest = RESTS_S[min(self._failures, len(RESTS_S) - 1)]
        self._failures += 1
        self._lose(now, "no_response")
        self._call_at(now + rest)

    def _ask(self, now: float) -> None:
        if self._setup:
            command = self._setup.popleft()
            self._begin(command, "" if command.code == IDENTIFY else f"{command.code:02X}", now)
            return
        if self._streams and now >= self._enable_at:
            self._enable_at = now + ENABLE_S
            self._speak(enable(self._streams), now)
        due = min(self._due, key=self._due.__getitem__, default="")
        if due and self._due[due] <= now:
            self._due[due] = now + self._periods[due]
            self._begin(Command(int(due[:2], 16), due[2:].encode("ascii")), due, now)
        elif now >= self._last_sent + NOP_S:
            self._begin(Command(NOP), "", now)

    def _begin(self, command: Command, item: str, now: float) -> None:
        self._outstanding, self._item, self._echo, self._tries = command.to_bytes(), item, command.code, 0
        self._transmit(now)

    def _transmit(self, now: float) -> None:
        self._tries += 1
        self._deadline, self._retry_at, self._is_damaged = now + RESPONSE_S, None, False
        self._speak(self._outstanding, now)

    def _speak(self, frame: bytes, now: float) -> None:
        """What is not an answer counts against the minute's budget."""
        self._commands.append(now)
        self._send(frame, now)

    def _free_at(self) -> float:
        """When the budget allows the next command."""
        return self._commands[0] + COMMANDS_S if len(self._commands) == COMMANDS else 0.0

    def _send(self, frame: bytes, now: float) -> None:
        self._out.append(frame)
        self._last_sent, self._has_spoken = now, True

    def take(self) -> tuple[bytes, list[Fault]]:
        """What is to be sent and what was met, once; nothing is sent while the device suspends us."""
        faults, self.faults = self.faults, []
        if self._suspended_at is not None or not self._out:
            return b"", faults
        data = b"".join(self._out)
        self._out.clear()
        return data, faults

    def wake_at(self) -> float | None:
        """When `tick()` has something to do if nothing comes before."""
        if not self.is_open:
            return None
        if self._suspended_at is not None:
            return self._suspended_at + RESUME_S
        free_at = self._free_at()
        if not self.is_up:
            return max(free_at, self._call_due())
        return min(self.last_heard + IDLE_S, max(free_at, self._next_at()))

    def _next_at(self) -> float:
        """When an established link has something to send."""
        if self._outstanding:
            return self._again_at()
        if self._setup:
            return self._settled_at
        due = min(self._due.values(), default=self._last_sent + NOP_S)
        if self._streams:
            due = min(due, self._enable_at)
        return max(self._settled_at, min(due, self._last_sent + NOP_S))
