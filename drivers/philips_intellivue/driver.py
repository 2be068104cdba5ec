"""Philips IntelliVue patient monitors (MP, MX, X2), data export over the RS-232 port of the MIB.

    ┌────┬───────┬────────┬─────────────────────────────────────────┬─────────────┬────┐
    │ C0 │ 11 01 │ length │ PDU: E1 00 00 02 │ kind │ length │ …    │ frame check │ C1 │
    └────┴───────┴────────┴─────────────────────────────────────────┴─────────────┴────┘

    box                                      monitor
    association request (0D…)          ─▶
                                       ◀─    accepted (0E…), or refused (0C…)
                                       ◀─    MDS-Create, an event that waits for its result
    result of the event                ─▶
    polls: MDS each 5 s, numerics      ─▶
                                       ◀─    results, whole or in linked parts; extended polls repeat by themselves
    release (09…)                      ─▶

Philips, Data Export Interface Programming Guide, 4535 642 59271 (contents), and VSCaptureMP (xeonfusion), Class1.cs
to Class3.cs, section DataConstants. mib.py has the framing, pdus.py the PDUs, values.py the attributes, observe.py
and waves.py what becomes of them. The association request is no constant of this driver: it is the frame of that name
in profile.toml, and without it nothing at all is sent.
"""

from typing import ClassVar

from drivers.asking import Asker, Manners, Question
from drivers.contract import Fault, Output
from drivers.observation import AnyObservation
from drivers.philips_intellivue import pdus
from drivers.philips_intellivue.mib import Frame, Framer
from drivers.philips_intellivue.observe import Observer
from drivers.philips_intellivue.options import Options as IntellivueOptions
from drivers.philips_intellivue.pdus import Association, Event, Malformed, PollResult, Refusal
from drivers.philips_intellivue.values import Reading, read
from drivers.philips_intellivue.waves import Waves
from drivers.profile import Profile

ASSOCIATION_REQUEST = "association request"
"""Name of the rule in the allow-list whose frame opens the association."""
ASSOCIATE, ALIVE, VALUES, CURVES = "associate", "mds", "numerics", "curves"
KEYS = {pdus.MDS: ALIVE, pdus.NUMERICS: VALUES, pdus.WAVES: CURVES}
LONGEST_S = 60.0
"""A linked answer has many parts."""
PATIENCE_S = 5.0
"""Public programs call the link dead after so long without a word."""
ALIVE_S = 5.0
"""A monitor gives up on a box that asks nothing for 10 s."""
RENEW_S = 540.0
"""An extended poll ends by itself after 600 s."""
CONFIRM_S = 60.0
"""An MDS-Create that comes again without a new association is not confirmed again before."""
RETRY_S = 12.0
"""After an abort, or when polls are not answered: so long that the monitor gives up on the old association."""
SPACING_S = 0.1
"""At most four frames in 128 ms."""
MOST_UNKNOWN = 512
MOST_FRAMES = 70
"""Within a minute, whatever happens, beside the confirmations and the goodbye."""


class PhilipsIntellivueDriver:
    """One monitor."""

    name: ClassVar[str] = "philips_intellivue"
    version: ClassVar[int] = 1
    Options: ClassVar[type[IntellivueOptions]] = IntellivueOptions

    def __init__(self, profile: Profile, options: IntellivueOptions) -> None:
        request = next((rule.hex for rule in profile.allowed if rule.name == ASSOCIATION_REQUEST), "")
        self._request = bytes.fromhex(request)
        self._options = options
        self._asker = Asker(
            Manners(patience_s=PATIENCE_S, longest_s=LONGEST_S, spacing_s=SPACING_S, per_minute=MOST_FRAMES)
        )
        self._framer = Framer()
        self._observer = Observer(profile)
        self._waves = Waves(profile, options.curve_codes)
        self._mds = self._observer.mds
        self._stale_after_s = profile.protocol.stale_after_s
        self._last_heard = self._last_data = self._confirmed_at = 0.0
        self._retry_at: float | None = None
        self._is_associated = self._has_left = False
        self._part = 0
        self._unknown: set[int] = set()
        self._observations: list[AnyObservation] = []
        self._faults: list[Fault] = []
        self._frames = 0

    def start(self, now: float) -> Output:
        """Forget what was half received; ask for an association."""
        self._framer.drop()
        self._observer.restart()
        self._waves.restart()
        self._last_heard = self._last_data = now
        self._has_left, self._part = False, 0
        if self._request:
            self._ask(now)
        else:
            self._faults.append(Fault("no_association_request"))
        return self._finish(now)

    def receive(self, data: bytes, now: float) -> Output:
        """Whole frames are read; the rest waits for more."""
        self._settle(now)
        self._last_heard = now
        for item in self._framer.feed(data):
            fault = item if isinstance(item, Fault) else self._take(item, now)
            if fault is not None:
                self._faults.append(fault)
        return self._finish(now)

    def wake(self, now: float) -> Output:
        """Polls and time-outs."""
        self._settle(now)
        return self._finish(now)

    def stop(self, now: float) -> Output:
        """Release the association, if one was ever asked for."""
        if self._asker.has_spoken and not self._has_left:
            self._asker.halt()
            self._asker.say(Frame(pdus.RELEASE).to_bytes(), now)
        self._has_left, self._retry_at = True, None
        self._observations += self._mds.link("disconnected", "stopped")
        return self._finish(now)

    def _ask(self, now: float) -> None:
        """The association, then the polls."""
        self._retry_at, self._is_associated = None, False
        self._asker.begin([Question(ASSOCIATE, self._request)], self._plan(), now)

    def _plan(self) -> list[Question]:
        if self._options.poll == "single":
            plan = [_single(self._options.poll_s)]
        else:
            alive = Frame(pdus.poll(pdus.MDS, pdus.MDS_GROUP)).to_bytes()
            values = Frame(pdus.extended_poll(pdus.NUMERICS)).to_bytes()
            plan = [Question(ALIVE, alive, ALIVE_S), Question(VALUES, values, RENEW_S)]
        if self._options.curve_codes:
            plan.append(Question(CURVES, Frame(pdus.extended_poll(pdus.WAVES, 4, 3)).to_bytes(), RENEW_S))
        return plan

    def _settle(self, now: float) -> None:
        if now >= self._last_heard + PATIENCE_S:
            self._faults += self._framer.drop()

    def _take(self, frame: Frame, now: float) -> Fault | None:
        pdu = pdus.parse_pdu(frame.payload)
        if isinstance(pdu, Fault):
            return pdu
        if isinstance(pdu, PollResult):
            return self._result(pdu, now)
        self._frames += 1
        if self._has_left:
            return None
        if isinstance(pdu, Association):
            return self._association(pdu, now)
        if isinstance(pdu, Event):
            return self._event(pdu, now)
        return self._refusal(pdu, now) if isinstance(pdu, Refusal) else Fault("unknown_record", pdu.detail)

    def _association(self, pdu: Association, now: float) -> Fault | None:
        if pdu.kind == pdus.ACCEPTED:
            if self._asker.asked == ASSOCIATE:
                self._asker.extend(now)
            return None
        if pdu.kind == pdus.REFUSED:
            self._asker.refused(now)
            return Fault("refused", ASSOCIATE)
        reason = "aborted" if pdu.kind == pdus.ABORT else "released"
        self._observations += self._mds.link("disconnected", reason)
        self._leave(now)
        return Fault(reason)

    def _leave(self, now: float) -> None:
        """The association is gone, or as good as gone: nothing is asked for a while, then all of it again."""
        if self._is_associated:
            self._asker.halt()
            self._retry_at = now + RETRY_S
        self._is_associated = False

    def _event(self, pdu: Event, now: float) -> Fault | None:
        if pdu.event != pdus.MDS_CREATE:
            return Fault("unknown_record", f"event {pdu.event:04X}")
        self._last_data = now
        self._observations += self._mds.link("connected")
        self._observations += self._mds.identify(pdus.identity_of(pdu.attributes))
        is_expected = self._asker.asked == ASSOCIATE
        if not is_expected and not self._is_associated:
            return None
        if pdu.is_confirmed and (is_expected or now >= self._confirmed_at + CONFIRM_S):
            self._confirmed_at = now
            self._asker.say(Frame(pdus.mds_create_result(pdu.invoke)).to_bytes(), now)
        if is_expected:
            self._asker.answered(now)
            self._is_associated = True
        return None

    def _refusal(self, pdu: Refusal, now: float) -> Fault:
        """What it would not do is not asked of it in this way again; numerics then by single polls."""
        key = self._asker.asked
        if key == VALUES and self._options.poll == "extended":
            self._asker.drop(ALIVE)
            self._asker.plan(_single(ALIVE_S), now + ALIVE_S)
        elif key == CURVES:
            self._asker.drop(CURVES)
        if key and key != ASSOCIATE:
            self._asker.answered(now)
        return Fault("refused", f"{key} {pdu.detail}".strip())

    def _result(self, pdu: PollResult, now: float) -> Fault | None:
        try:
            readings = tuple(read(polled) for polled in pdu.objects)
        except Malformed:
            return Fault("length", f"type {pdu.kind:04X}", rejected=True)
        self._frames += 1
        if self._has_left:
            return None
        key = KEYS.get(pdu.kind)
        if key is None:
            return Fault("unknown_record", f"type {pdu.kind:04X}")
        self._answer(key, pdu, now)
        self._count_unknown(readings)
        if key == ALIVE:
            for identity in filter(None, (pdus.identity_of(polled.attributes) for polled in pdu.objects)):
                self._observations += self._mds.identify({**self._mds.identity, **identity})
            return None
        self._last_data = now
        self._observations += self._mds.link("connected")
        if key == VALUES:
            self._observations += self._observer.observe(pdu, readings)
            return self._order(pdu)
        for item in self._waves.observe(pdu, readings):
            if isinstance(item, Fault):
                self._faults.append(item)
            else:
                self._observations.append(item)
        return None

    def _answer(self, key: str, pdu: PollResult, now: float) -> None:
        if key != self._asker.asked:
            return
        if pdu.part in (0, pdus.LAST):
            self._asker.answered(now)
        else:
            self._asker.extend(now)

    def _count_unknown(self, readings: tuple[Reading, ...]) -> None:
        """Attributes that no document at hand names, once each."""
        for number in sorted({number for reading in readings for number in reading.unknown} - self._unknown):
            if len(self._unknown) < MOST_UNKNOWN:
                self._unknown.add(number)
                self._faults.append(Fault("unknown_attribute", f"{number:04X}"))

    def _order(self, pdu: PollResult) -> Fault | None:
        """Whether the parts of a linked result come one after the other."""
        before, self._part = self._part, pdu.part if pdu.part != pdus.LAST else 0
        is_missing = pdu.part in (pdus.MIDDLE, pdus.LAST) and before not in (pdus.FIRST, pdus.MIDDLE)
        return Fault("part_missing") if is_missing else None

    def _finish(self, now: float) -> Output:
        stale_at = self._last_data + self._stale_after_s
        if now >= stale_at and not self._has_left and self._mds.connection != "stale":
            self._observations += self._mds.link("stale", "silence")
            self._leave(now)
        if self._retry_at is not None and now >= self._retry_at:
            self._ask(now)
        self._asker.tick(now)
        if self._asker.has_restarted:  # a poll was not answered: the monitor must forget the association first
            self._asker.has_restarted = False
            self._leave(now)
        send, faults = self._asker.take()
        output = Output(
            send=send,
            observations=tuple(self._observations),
            faults=(*self._faults, *faults),
            wake_at=self._wake_at(stale_at),
            frames=self._frames,
        )
        self._observations, self._faults, self._frames = [], [], 0
        return output

    def _wake_at(self, stale_at: float) -> float | None:
        due = [at for at in (self._asker.wake_at(), self._retry_at) if at is not None]
        if self._mds.connection != "stale" and not self._has_left:
            due.append(stale_at)
        if self._framer.is_inside:
            due.append(self._last_heard + PATIENCE_S)
        return min(due, default=None)


def _single(period_s: float) -> Question:
    return Question(VALUES, Frame(pdus.poll(pdus.NUMERICS, pdus.ALL)).to_bytes(), period_s)
