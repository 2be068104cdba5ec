"""Fresenius Agilia and Orchestra pumps behind a Base A: the box asks the base who is there, then each pump.

    ┌─────┬─────────┬─────────┬─────────────┬──────────┬─────┐      box ─▶ base   02 "1LE;dr" "2C" 03
    │ STX │ address │ command │ ; arguments │ checksum │ ETX │      base ─▶ box   06 (ACK), then
    └─────┴─────────┴─────────┴─────────────┴──────────┴─────┘                    02 "1C;d0032;r00001388" "E6" 03
      02H   0 base    1 or 2    optional      2 hex      03H       box ─▶ base   06 (ACK)
            1… pump   letters                                       base ─▶ box   05 (ENQ)  ─▶  14 (DC4)

jaj42/infupy, `infupy/backends/fresenius.py`, sections FreseniusBase, FreseniusSyringe and RecvThread: no document of
the maker was read, so the tier is *sketch*. frames.py finds the frames, module.py knows the pumps. Nothing that sets
a pump is in the allow-list, and nothing here can make such a frame.
"""

from collections import deque
from typing import ClassVar

from drivers.asking import MINUTE_S, Manners
from drivers.contract import Fault
from drivers.conversation import Asking
from drivers.fresenius_agilia.frames import ACK, DC4, Calls, Frame, Item, Refused, Scanner
from drivers.fresenius_agilia.module import (
    BASE,
    BOLUS,
    CONNECT,
    DISCONNECT,
    DRUG,
    FIXED,
    MODULES,
    PRESENT,
    RATE,
    READ,
    SPONTANEOUS,
    STATE,
    Module,
    parse_variables,
    present_modules,
    question,
)
from drivers.fresenius_agilia.options import Options as AgiliaOptions
from drivers.profile import Profile

QUESTIONS_A_MINUTE = 300
"""Five pumps at the fastest options: 5 x (30 + 12 + 6 + 2) + 12 for the base, and their set-up."""
ANSWERS_A_MINUTE = 300
"""ACK, one for each good frame."""
CALLS_A_MINUTE = 120
"""DC4 and echoes of what comes unasked. How often a base calls is not in the source."""
MANNERS = Manners(patience_s=2.0, repeats=1, per_minute=QUESTIONS_A_MINUTE)
QUIET_S = 60.0
"""A pump that did not answer is left alone for so long."""
_SETS = ({*RATE}, {*STATE}, {*BOLUS}, {*PRESENT})


class _Budget:
    """So many in a minute, whatever comes: what is over is not sent."""

    def __init__(self, most: int) -> None:
        self._sent: deque[float] = deque(maxlen=most)
        self._most = most

    def allows(self, now: float) -> bool:
        """Whether one more may go now; counts it if so."""
        if len(self._sent) == self._most and now < self._sent[0] + MINUTE_S:
            return False
        self._sent.append(now)
        return True


class FreseniusAgiliaDriver(Asking):
    """One line to one base, with up to five pumps, each an MDS of its own."""

    name: ClassVar[str] = "fresenius_agilia"
    version: ClassVar[int] = 1
    Options: ClassVar[type[AgiliaOptions]] = AgiliaOptions

    def __init__(self, profile: Profile, options: AgiliaOptions) -> None:
        plan = [question(BASE, READ, PRESENT, options.modules_s)]
        super().__init__(profile, MANNERS, [question(BASE, CONNECT)], plan)
        self._options = options
        self._scanner = Scanner()
        self._answers, self._calls = _Budget(ANSWERS_A_MINUTE), _Budget(CALLS_A_MINUTE)
        self._modules = {address: Module(profile, address) for address in MODULES}
        self._present: tuple[str, ...] = ()
        self._opened: dict[str, None] = {}
        """Pumps with which a session was opened since the port was: each is told goodbye."""
        self._said = bytearray()

    def _forget(self) -> None:
        self._scanner.drop()
        self._said.clear()
        self._present = ()
        self._opened.clear()
        for module in self._modules.values():
            module.mds.restart()
            module.not_before = self._now

    def _receive(self, data: bytes) -> None:
        for item in self._scanner.feed(data):
            self._take(item)
            self._ask()

    def _leave(self) -> None:
        """FC to each pump that was opened, and to the base last."""
        if self._is_open and self._asker.has_spoken:
            self._said += b"".join(question(each, DISCONNECT).frame for each in (*self._opened, BASE))
        for module in self._modules.values():
            self._observations += module.part("stopped")

    def _fall_silent(self) -> None:
        for module in self._modules.values():
            self._observations += module.leave("silence")
        super()._fall_silent()

    def _speak(self) -> bytes:
        """Acknowledgements and questions in the order in which they came about."""
        self._ask()
        said = bytes(self._said)
        self._said.clear()
        return said

    def _ask(self) -> None:
        """The next question, as soon as the last one is answered; a pump that failed it is left out for a while."""
        asked = self._asker.asked
        super()._ask()
        out, faults = self._asker.take()
        self._said += out
        self._faults += faults
        if self._asker.has_restarted:
            self._asker.has_restarted = False
            if asked[:1] in self._modules:
                module = self._modules[asked[0]]
                module.not_before = self._now + QUIET_S
                self._observations += module.leave("no_answer")
            self._forget_modules()

    def _forget_modules(self) -> None:
        """The session begins anew: every pump that is still there is opened again."""
        for address in self._present:
            for each in self._modules[address].plan(self._options):
                self._asker.drop(each.key)
        self._present = ()

    def _take(self, item: Item) -> None:
        match item:
            case Calls():
                for _call in range(min(item.count, CALLS_A_MINUTE)):
                    self._say(DC4, self._calls)
            case Refused():
                self._faults.append(Fault("nak", item.number))
                self._asker.refused(self._now)
            case Fault():
                self._refuse(item)
            case Frame():
                self._read(item)

    def _say(self, data: bytes, budget: _Budget) -> None:
        if self._is_open and budget.allows(self._now):
            self._said += data

    def _read(self, frame: Frame) -> None:
        if frame.command not in ("C", "I", "E", "M"):
            self._faults.append(Fault("layout", rejected=True))
            return
        self._verified()
        if not self._is_open:
            return
        self._say(ACK, self._answers)
        if frame.command == "C":
            self._reply(frame)
        elif frame.command == "I":
            self._refusal(frame)
        else:
            self._unasked(frame)

    def _unasked(self, frame: Frame) -> None:
        """What comes by itself is echoed with its address and letter; the box subscribes to nothing."""
        variables = parse_variables(frame.arguments)
        module = self._modules.get(frame.address)
        if frame.command != SPONTANEOUS or frame.address not in (BASE, *MODULES):
            self._faults.append(Fault("unexpected", frame.address + frame.command))
            return
        self._say(Frame(frame.address, SPONTANEOUS).to_bytes(), self._calls)
        if variables is None or module is None:
            self._faults.append(Fault("unexpected", frame.address + frame.command))
            return
        self._observations += module.mds.link("connected")
        self._observations += module.variables(variables.items())

    def _reply(self, frame: Frame) -> None:
        """An answer ends the question that waits only from the address that was asked, with what was asked."""
        asked = self._asker.asked
        address, what = asked[:1], asked[1:]
        if not asked or frame.address != address or not self._is_answer(what, frame.arguments):
            self._late(frame)
            return
        self._asker.answered(self._now)
        text = frame.arguments or ""
        if address == BASE:
            if what != CONNECT:
                self._find_modules(text[1:])
            return
        module = self._modules[address]
        self._observations += module.mds.link("connected")
        if what.startswith(READ):
            self._observations += module.variables((parse_variables(text) or {}).items())
        elif what.startswith(FIXED):
            self._observations += module.identify(text[1:])
        elif what == DRUG:
            self._observations += module.drug(text)

    def _late(self, frame: Frame) -> None:
        """Behind its time-out, a whole set of a pump's variables still says what it is, and whose."""
        module, variables = self._modules.get(frame.address), parse_variables(frame.arguments)
        if (
            module is None
            or frame.address not in self._opened
            or variables is None
            or variables.keys() not in _SETS[:3]
        ):
            self._faults.append(Fault("unexpected", frame.address + frame.command))
            return
        self._observations += module.mds.link("connected")
        self._observations += module.variables(variables.items())

    def _is_answer(self, what: str, arguments: str | None) -> bool:
        variables = parse_variables(arguments)
        if what == CONNECT:
            return arguments is None
        if what.startswith(READ):
            return variables is not None and variables.keys() == set(what.partition(";")[2])
        if what.startswith(FIXED):
            return arguments is not None and arguments.startswith(PRESENT) and ";" not in arguments
        return arguments is not None and (variables is None or variables.keys() not in _SETS)

    def _refusal(self, frame: Frame) -> None:
        """`I`: understood and refused. The plan goes on at its own pace; what was asked is absent."""
        asked = self._asker.asked
        if not asked or frame.address != asked[:1]:
            self._faults.append(Fault("unexpected", frame.address + frame.command))
            return
        self._asker.answered(self._now)
        self._faults.append(Fault("refused", f"{asked} {(frame.arguments or '')[:2]}"))
        if asked[0] in self._modules and asked[1:].startswith(READ):
            self._observations += self._modules[asked[0]].absent(asked.partition(";")[2], "refused")

    def _find_modules(self, bitmap: str) -> None:
        """The base's list: pumps that came are opened, pumps that went are absent."""
        found, has_more = present_modules(bitmap)
        if has_more:
            self._faults.append(Fault("unknown_module", bitmap))
        for address in self._present:
            if address not in found:
                for each in self._modules[address].plan(self._options):
                    self._asker.drop(each.key)
                self._observations += self._modules[address].leave("module_removed")
        here = [a for a in found if a in self._present or self._now >= self._modules[a].not_before]
        for address in here:
            if address not in self._present:
                self._opened[address] = None
                for each in self._modules[address].setup():
                    self._asker.add(each)
                for each in self._modules[address].plan(self._options):
                    self._asker.plan(each, self._now)
        self._present = tuple(here)
