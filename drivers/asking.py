"""Asking a device that only answers: one question at a time, patience, and rests that grow.

What every polled protocol has in common stands here; what the questions are, and which bytes answer them, the driver
knows. Nothing here reads a byte of an answer.

    begin ──▶ set-up questions, in order ──▶ plan, each at its period ──▶ … stop
                 │ no answer in time: once more, then a rest of 3, 10, 30, 60 s, and everything from the start
"""

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from drivers.contract import Fault

RESTS_S = (3.0, 10.0, 30.0, 60.0)
"""How long nothing is asked after a question failed for good; longer each time, until one is answered."""
MINUTE_S = 60.0


class Question(Struct, frozen=True):
    """One frame that asks, and how often: 0 is once, as part of the set-up."""

    key: str
    """What the driver calls it; also the detail of its time-out."""
    frame: bytes
    period_s: float = 0.0


class Manners(Struct, frozen=True):
    """How a protocol wants to be asked."""

    patience_s: float
    """No answer for so long is a time-out."""
    spacing_s: float = 0.0
    """From the end of one exchange to the next question."""
    repeats: int = 1
    """How often a question that timed out is asked again before the rest."""
    longest_s: float = 10.0
    """An answer that comes in parts is waited for so long in all; chatter must not hold the dialogue up for ever."""
    quiet_s: float = 0.0
    """Before a question is repeated: a late answer then finds none, and is not read as the next one's."""
    per_minute: int = 60
    """Most frames within a minute, whatever happens; the profile's `max_send_per_minute` or less."""


class Asker:
    """The state of one dialogue. `tick()` sends what is due, `wake_at()` says when time alone changes something."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        self._setup: deque[Question] = deque()
        self._start: tuple[Question, ...] = ()
        self._plan: dict[str, Question] = {}
        self._due: dict[str, float] = {}
        self._asked: Question | None = None
        self._repeat: Question | None = None
        self._deadline = self._latest = self._free_at = 0.0
        self._tries = self._failures = 0
        self._sent: deque[float] = deque(maxlen=manners.per_minute)
        self._faults: list[Fault] = []
        self._out = bytearray()
        self.is_open = False
        self.has_spoken = False
        """Since the port opened: to whom we spoke, we say goodbye."""
        self.has_restarted = False
        """A question failed for good and the set-up begins again; the driver takes note and clears it."""

    @property
    def asked(self) -> str:
        """The key of the question that waits for its answer; empty if none does."""
        return self._asked.key if self._asked else ""

    def begin(self, setup: Sequence[Question], plan: Sequence[Question], now: float) -> None:
        """The port has just opened: the set-up at once, then the plan."""
        self._start = tuple(setup)
        self._plan = {question.key: question for question in plan}
        self._out.clear()
        self._failures, self._free_at = 0, now
        self.is_open, self.has_spoken, self.has_restarted = True, False, False
        self._again(now)

    def _again(self, now: float) -> None:
        self._asked, self._repeat, self._tries = None, None, 0
        self._setup = deque(self._start)
        self._due = dict.fromkeys(self._plan, now)

    def restart(self, now: float) -> None:
        """The device has forgotten us (it said so, or it was switched on again): the set-up once more."""
        self._again(now)
        self.has_restarted = True

    def add(self, question: Question) -> None:
        """One more question before the plan goes on: an answer that asks for the next one."""
        self._setup.append(question)

    def plan(self, question: Question, now: float) -> None:
        """One more row of the plan, or another frame for one that is there; due at once."""
        self._plan[question.key] = question
        self._due[question.key] = now

    def drop(self, key: str) -> None:
        """A question that this device does not answer leaves the plan."""
        self._plan.pop(key, None)
        self._due.pop(key, None)

    def halt(self) -> None:
        """Nothing is asked any more."""
        self.is_open, self._asked, self._repeat = False, None, None
        self._out.clear()

    def say(self, frame: bytes, now: float) -> None:
        """Something that is no question: an acknowledgement, a goodbye. It counts, but waits for nothing."""
        self._out += frame
        self._sent.append(now)
        self.has_spoken = True

    def answered(self, now: float) -> str:
        """The answer that was waited for came whole and verified. Returns the question's key."""
        key = self.asked
        self._asked, self._tries, self._failures = None, 0, 0
        self._free_at = max(self._free_at, now + self._manners.spacing_s)
        return key

    def extend(self, now: float) -> None:
        """A part of the answer came: the rest has as long again, within what one answer may take."""
        if self._asked:
            self._deadline = min(now + self._manners.patience_s, max(self._deadline, self._latest))

    def refused(self, now: float) -> None:
        """The answer came and could not be verified: asked again when the patience is over, as after silence."""
        self._free_at = max(self._free_at, now + self._manners.spacing_s)

    def tick(self, now: float) -> None:
        """Time-outs, and at most one question."""
        if not self.is_open:
            return
        if self._asked is not None:
            self._wait(now)
            return
        if now < self._open_at():
            return
        if self._repeat:
            self._transmit(self._repeat, now)
            return
        if self._setup:
            self._transmit(self._setup.popleft(), now)
            return
        key = min(self._due, key=self._due.__getitem__, default="")
        if key and self._due[key] <= now:
            question = self._plan[key]
            self._due[key] = now + question.period_s
            self._transmit(question, now)

    def _wait(self, now: float) -> None:
        is_last = self._tries > self._manners.repeats
        if self._asked is None or now < self._deadline or not (is_last or now >= self._open_at()):
            return
        self._faults.append(Fault("timeout", self._asked.key))
        if is_last:
            self._rest(now)
        elif self._manners.quiet_s:
            self._repeat, self._asked, self._free_at = self._asked, None, now + self._manners.quiet_s
        else:
            self._transmit(self._asked, now)

    def _rest(self, now: float) -> None:
        self._free_at = now + RESTS_S[min(self._failures, len(RESTS_S) - 1)]
        self._failures += 1
        self.restart(now)

    def _transmit(self, question: Question, now: float) -> None:
        self._tries += 1
        self._repeat = None
        self._asked, self._deadline = question, now + self._manners.patience_s
        self._latest = now + self._manners.longest_s
        self.say(question.frame, now)

    def _open_at(self) -> float:
        """When the next frame may go: manners, rests, and the minute's budget."""
        is_full = len(self._sent) == self._manners.per_minute
        return max(self._free_at, self._sent[0] + MINUTE_S if is_full else 0.0)

    def take(self) -> tuple[bytes, list[Fault]]:
        """What is to be sent and what was met, once."""
        out, faults = bytes(self._out), self._faults
        self._out.clear()
        self._faults = []
        return out, faults

    def wake_at(self) -> float | None:
        """When `tick()` has something to do if nothing comes before."""
        if not self.is_open:
            return None
        if self._asked is not None:
            is_last = self._tries > self._manners.repeats
            return self._deadline if is_last else max(self._deadline, self._open_at())
        if self._setup or self._repeat:
            return self._open_at()
        due = min(self._due.values(), default=None)
        return None if due is None else max(due, self._open_at())
