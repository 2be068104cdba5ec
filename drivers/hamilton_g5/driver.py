"""Hamilton G5 and Galileo: the box asks for one parameter, the ventilator answers with five characters.

    box ─▶ ┌─────┬────────────┬─────┬────┐      ┌─────┬────────────┬─────────┬─────┬────┐ ─▶ box
           │ STX │ parameter  │ ETX │ CR │      │ STX │ parameter  │ value 5 │ ETX │ CR │
           │ 02H │ one byte   │ 03H │0DH │      │ 02H │ one byte   │         │ 03H │0DH │
           └─────┴────────────┴─────┴────┘      └─────┴────────────┴─────────┴─────┴────┘

One public program for these ventilators, sections "parameters" and "response types": no document of the maker was
seen, so the tier is *sketch*. Which parameter is which is known, what unit a value has is not: all are published as
sent. frames.py finds the answers; the parameters are in profile.toml.
"""

from typing import ClassVar

import msgspec

from drivers.asking import Manners, Question
from drivers.contract import Fault
from drivers.conversation import Asking
from drivers.hamilton_g5.frames import NUMBER, SOFTWARE, Answer, Scanner, question
from drivers.hamilton_g5.options import Options as HamiltonOptions
from drivers.observation import Enumeration, Numeric
from drivers.profile import Metric, Profile

MANNERS = Manners(patience_s=1.0, spacing_s=0.05, repeats=1, per_minute=400)
"""The ventilator takes about 32 ms for an answer and wants at least 36 ms between two questions."""
LEFT_OUT_S = 600.0
"""A parameter that got no answer while others did is not asked for so long."""
ALIVE_S = 10.0


class HamiltonG5Driver(Asking):
    """One ventilator that answers one parameter at a time."""

    name: ClassVar[str] = "hamilton_g5"
    version: ClassVar[int] = 1
    Options: ClassVar[type[HamiltonOptions]] = HamiltonOptions

    def __init__(self, profile: Profile, options: HamiltonOptions) -> None:
        self._metrics = {int(metric.code): metric for metric in profile.metric}
        self._questions = {
            metric.code: Question(
                metric.code, question(int(metric.code)), options.period_s(str(metric.extra["group"]))
            )
            for metric in profile.metric
        }
        identity = [Question(str(each), question(each)) for each in (NUMBER, *SOFTWARE)]
        super().__init__(profile, MANNERS, identity, tuple(self._questions.values()))
        self._scanner = Scanner()
        self._left_out: dict[str, float] = {}

    def _forget(self) -> None:
        self._scanner.drop()
        self._left_out.clear()

    def _receive(self, data: bytes) -> None:
        for item in self._scanner.feed(data):
            self._take(item)

    def _ask(self) -> None:
        """One question at a time; one that fails for good while others are answered does not stop them."""
        for key in [key for key, until in self._left_out.items() if until <= self._now]:
            del self._left_out[key]
            self._asker.plan(self._questions[key], self._now)
        asked = self._asker.asked
        super()._ask()
        if self._asker.has_restarted:
            self._asker.has_restarted = False
            self._scanner.drop()
            if asked in self._questions and self._now < self._last_frame + ALIVE_S:
                self._left_out[asked] = self._now + LEFT_OUT_S
                self._asker.drop(asked)

    def _take(self, item: Answer | Fault) -> None:
        if isinstance(item, Fault):
            self._refuse(item)
            return
        asked = int(self._asker.asked or 0)
        is_short = not item.parameter
        if is_short and (asked != NUMBER or not item.is_number()):
            self._refuse(Fault("length", str(asked), rejected=True))
            return
        self._verified()
        if self._is_open:
            self._read(item, asked)

    def _read(self, answer: Answer, asked: int) -> None:
        if answer.is_refusal:
            self._refused(asked)
        elif asked == NUMBER and answer.is_number():
            self._asker.answered(self._now)
            self._identify("number", answer.content)
        elif answer.parameter == asked and asked in SOFTWARE:
            self._asker.answered(self._now)
            self._identify(f"software_{asked}", answer.value)
        elif answer.content == self._mds.identity.get("number"):  # once more: it names no parameter, but looks so
            self._faults.append(Fault("unexpected", str(NUMBER)))
        elif metric := self._metrics.get(answer.parameter):
            if answer.parameter == asked:
                self._asker.answered(self._now)
            self._observations += self._mds.values([as_sent(metric, answer.value)])
        else:
            self._faults.append(Fault("unexpected", str(answer.parameter)))

    def _identify(self, what: str, text: str) -> None:
        self._observations += self._mds.identify(self._mds.identity | {what: text.strip()})

    def _refused(self, asked: int) -> None:
        """It names no parameter: it answers the question that waits, which is asked again at its own pace."""
        if not asked:
            self._faults.append(Fault("unexpected", "RERROR"))
            return
        self._asker.answered(self._now)
        self._faults.append(Fault("refused", str(asked)))
        if metric := self._metrics.get(asked):
            absent = msgspec.structs.replace(as_sent(metric, ""), reason="refused")
            self._observations += self._mds.values([absent])


def as_sent(metric: Metric, text: str) -> Numeric | Enumeration:
    """A parameter without a known unit or coding: its text, and no value."""
    if metric.kind == "enumeration":
        return metric.enumeration(text, text)
    return metric.numeric(None, text, reason="unit_unknown")
