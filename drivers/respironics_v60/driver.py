"""Philips Respironics V60 and V200: the box sends four letters, the ventilator answers with one report.

    box ─▶ ┌──────┬────┐     ┌──────┬───┬─────┬───┬─────┬───┬─────┬───┬────────┬───┬─────┬─────┬────┐ ─▶ box
           │ VRPT │ CR │     │ VRPT │ , │ 988 │ , │ 133 │ , │ STX │ , │ 13:45␣ │ , │  …  │ ETX │ CR │
           └──────┴────┘     └──────┴───┴─────┴───┴─────┴───┴─────┴───┴────────┴───┴─────┴─────┴────┘

Respironics V200 Ventilator Operator's Manual, REF 1057983 A, Appendix A "RS-232 Communications Protocol" and chapter
13; for a V60 single pages of its developer's guide and one public program. The tables were not seen whole, so the
tier is *sketch*. reports.py finds the reports, observe.py reads them; which fields are read is in profile.toml.
"""

from typing import ClassVar

from drivers.asking import Manners, Question
from drivers.contract import Fault
from drivers.conversation import Asking
from drivers.profile import Profile
from drivers.respironics_v60.observe import WIDTH, Observer
from drivers.respironics_v60.options import Options as RespironicsOptions
from drivers.respironics_v60.reports import Item, Report, Scanner

MANNERS = Manners(patience_s=4.0, spacing_s=0.2, repeats=1, per_minute=40)
"""A thousand characters take a second at 9600 baud; the source gives no time."""

IDENTITY, FOREIGN = 2, ("840", "980")
"""A Puritan Bennett answers SNDA with a MISCA of the same size, and names itself in the second field."""


class RespironicsV60Driver(Asking):
    """One ventilator that answers one command."""

    name: ClassVar[str] = "respironics_v60"
    version: ClassVar[int] = 1
    Options: ClassVar[type[RespironicsOptions]] = RespironicsOptions

    def __init__(self, profile: Profile, options: RespironicsOptions) -> None:
        question = Question(options.report, f"{options.report}\r".encode("ascii"), options.poll_s)
        super().__init__(profile, MANNERS, plan=[question])
        self._options = options
        self._observer = Observer(profile, options, self._mds)
        self._scanner = Scanner()

    def _forget(self) -> None:
        self._scanner.drop()

    def _receive(self, data: bytes) -> None:
        for item in self._scanner.feed(data):
            self._take(item)

    def _speak(self) -> bytes:
        send = super()._speak()
        if any(fault.reason == "timeout" for fault in self._faults):
            self._scanner.drop()
        return send

    def _take(self, item: Item) -> None:
        if isinstance(item, Report) and self._is_ours(item):
            item = self._checked(item)
        if isinstance(item, Fault):
            self._refuse(item)
            return
        self._verified()
        self._asker.answered(self._now)
        if not self._is_open:
            return
        if self._is_ours(item):
            self._observations += self._mds.identify({})
            self._observations += self._observer.read(item)
        else:
            self._reject_device(item)

    def _is_ours(self, report: Report) -> bool:
        """Name and both counts are what the profile's ventilator has; there is no other identity of it."""
        told = (report.name, report.characters, len(report.fields))
        if report.name == "MISCA" and report.field(IDENTITY).startswith(FOREIGN):
            return False
        return told == (self._options.answer, self._options.characters, self._options.fields)

    def _checked(self, report: Report) -> Report | Fault:
        """The fields that are read have six characters, text first."""
        for number in self._observer.numbers():
            text = report.field(number)
            if len(text) != WIDTH or (text[0] == " " and not text.isspace()):
                return Fault("layout", f"{report.name}.{number}", rejected=True)
        return report

    def _reject_device(self, report: Report) -> None:
        told = {"report": f"{report.name} {report.characters} {len(report.fields)}"}
        if report.name == "MISCA" and report.field(IDENTITY).startswith(FOREIGN):
            told["model"] = f"Puritan Bennett {report.field(IDENTITY)[:3]}"
        self._faults.append(Fault("wrong_device", told["report"]))
        gone = self._observer.withdraw("wrong_device")
        self._observations += [*self._mds.identify(told, "wrong_device"), *gone]
