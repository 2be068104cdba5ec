"""Philips IntelliVue patient monitors (MP, MX, X2), data export: RS-232 port of the MIB, or the network.

    RS-232   ┌────┬───────┬────────┬─────────────────────────────────────────┬─────────────┬────┐
             │ C0 │ 11 01 │ length │ PDU: E1 00 00 02 │ kind │ length │ …    │ frame check │ C1 │
             └────┴───────┴────────┴─────────────────────────────────────────┴─────────────┴────┘
    network  │ PDU │, one in each UDP datagram

    box                                      monitor
    association request (0D…)          ─▶
                                       ◀─    accepted (0E…) with what is granted, or refused (0C…)
                                       ◀─    MDS-Create, an event that waits for its result
    result of the event                ─▶
    polls: MDS as the keep-alive,
    numerics, alerts, …                ─▶
                                       ◀─    results, whole or in linked parts; extended polls repeat by themselves
    release (09…)                      ─▶
                                       ◀─    released (0A…)

Philips, Data Export Interface Programming Guide, 4535 642 59271, and VSCaptureMP (xeonfusion), Class1.cs to
Class3.cs, section DataConstants. mib.py and lan.py have the two lines, association.py and polls.py what is sent,
pdus.py the PDUs, values.py the attributes, observe.py, alerts.py and waves.py what becomes of them.
"""

from typing import ClassVar

from drivers.asking import Asker, Manners, Question
from drivers.contract import Fault, Output
from drivers.observation import AnyObservation
from drivers.philips_intellivue import association, pdus
from drivers.philips_intellivue.identity import identity_of
from drivers.philips_intellivue.lan import Datagrams
from drivers.philips_intellivue.mib import Frame, Framer
from drivers.philips_intellivue.observe import Observer
from drivers.philips_intellivue.options import Options as IntellivueOptions
from drivers.philips_intellivue.order import Order
from drivers.philips_intellivue.pdus import Association, Event, Malformed, PollResult, Refusal
from drivers.philips_intellivue.polls import ALERTS, ALIVE, BY_INVOKE, BY_KIND, CURVES, POLLS, STATES, VALUES, wanted
from drivers.philips_intellivue.values import Reading, read
from drivers.philips_intellivue.waves import Waves
from drivers.profile import Profile

ASSOCIATE = "associate"
LONGEST_S = 60.0
"""A linked answer has many parts."""
PATIENCE_S = 5.0
"""Public programs call the link dead after so long without a word."""
RENEW_S = 540.0
"""An extended poll ends by itself after 600 s."""
SINGLE_S, IDENTITY_S = 5.0, 60.0
"""Where extended polls are not granted: numerics after a refusal, and alerts; the MDS."""
LONGEST_PERIOD_S = 60.0
"""A longer poll period than this is not waited for, whatever the monitor grants."""
LOST_S = 30.0
"""Alerts that come each second and then no more are asked for again."""
GONE_S = 120.0
"""Then whether they are still on is not known."""
CONFIRM_S, MOST_CONFIRMED = 60.0, 4
"""A monitor repeats its MDS-Create three times if the result was lost; more within a minute are not answered."""
RETRIES_S = (12.0, 24.0, 48.0, 60.0)
"""After an abort, or when polls are not answered: so long that the monitor gives up on the old association."""
HELD_S = 60.0
"""An association that lasted so long was a good one: after it the pauses begin anew."""
SPACING_S = 0.1
"""At most four frames in 128 ms."""
MOST_UNKNOWN = 512
MOST_FRAMES = 70
"""Within a minute, whatever happens, beside the confirmations and the goodbye."""


class PhilipsIntellivueDriver:
    """One monitor."""

    name: ClassVar[str] = "philips_intellivue"
    version: ClassVar[int] = 2
    Options: ClassVar[type[IntellivueOptions]] = IntellivueOptions

    def __init__(self, profile: Profile, options: IntellivueOptions) -> None:
        self._is_lan = profile.is_datagram
        self._options = options
        self._asker = Asker(
            Manners(patience_s=PATIENCE_S, longest_s=LONGEST_S, spacing_s=SPACING_S, per_minute=MOST_FRAMES)
        )
        self._line: Framer | Datagrams = Datagrams() if self._is_lan else Framer()
        self._observer = Observer(profile)
        self._waves = Waves(profile, options.curve_codes)
        self._order = Order(is_network=self._is_lan)
        self._mds = self._observer.mds
        self._stale_after_s = profile.protocol.stale_after_s
        self._wanted = wanted(is_lan=self._is_lan, has_curves=bool(options.curve_codes))
        self._granted = self._wanted
        self._last_heard = self._last_data = self._last_alerts = self._alerts_at = self._since = 0.0
        self._retry_at: float | None = None
        self._alerts: Question | None = None
        self._losses = 0
        self._confirmed: list[float] = []
        self._is_associated = self._is_extended = self._is_foreign = self._has_left = self._has_said = False
        self._unknown: set[int] = set()
        self._observations: list[AnyObservation] = []
        self._faults: list[Fault] = []
        self._frames = 0

    def start(self, now: float) -> Output:
        """Forget what was half received; ask for an association."""
        self._line.drop()
        self._observer.restart()
        self._last_heard = self._last_data = now
        self._has_left, self._losses = False, 0
        self._ask(now)
        return self._finish(now)

    def receive(self, data: bytes, now: float) -> Output:
        """Whole frames are read; on a serial line the rest waits for more."""
        self._settle(now)
        self._last_heard = now
        for item in self._line.feed(data):
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
            self._say(pdus.RELEASE, now)
        self._has_left, self._retry_at = True, None
        self._observations += self._mds.link("disconnected", "stopped")
        return self._finish(now)

    # What is sent.

    def _wire(self, payload: bytes) -> bytes:
        return payload if self._is_lan else Frame(payload).to_bytes()

    def _say(self, payload: bytes, now: float) -> None:
        self._asker.say(self._wire(payload), now)
        self._has_said = True

    def _ask(self, now: float) -> None:
        """The association; the polls when it stands."""
        self._retry_at, self._granted = None, self._wanted
        self._is_associated = self._is_foreign = False
        self._order.restart()
        self._waves.restart()
        self._observer.forget()
        self._confirmed.clear()
        self._asker.begin([Question(ASSOCIATE, self._wire(association.request(self._wanted)))], [], now)

    def _poll(self, *, is_extended: bool, now: float) -> None:
        """The plan, out of what is granted and what the options ask for."""
        self._is_extended = is_extended
        for key in POLLS:
            self._asker.drop(key)
        shortest = min(self._granted.period_s, LONGEST_PERIOD_S)
        if not is_extended:
            slow = SINGLE_S if self._options.poll == "extended" else self._options.poll_s
            plan = {VALUES: slow, ALERTS: SINGLE_S, ALIVE: IDENTITY_S}
            self._alerts = None
            for key, period in plan.items():
                self._asker.plan(Question(key, self._wire(POLLS[key].single()), max(period, shortest)), now)
            return
        alive = max(self._granted.timeout_s / 3, shortest)  # one may be lost: it is asked again in time
        self._asker.plan(Question(ALIVE, self._wire(POLLS[ALIVE].single()), alive), now)
        self._alerts = Question(ALERTS, self._wire(POLLS[ALERTS].extended()), RENEW_S)
        keys = [VALUES, ALERTS]
        if self._granted.extensions & association.ENUMERATIONS:
            keys.append(STATES)
        if self._options.curve_codes and self._granted.extensions & association.CURVES:
            keys.append(CURVES)
        for key in keys:
            self._asker.plan(Question(key, self._wire(POLLS[key].extended()), RENEW_S), now)

    # What comes.

    def _settle(self, now: float) -> None:
        if now >= self._last_heard + PATIENCE_S:
            self._faults += self._line.drop()

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
            return self._association(pdu, frame.payload, now)
        if isinstance(pdu, Event):
            return self._event(pdu, now)
        return self._refusal(pdu, now) if isinstance(pdu, Refusal) else Fault("unknown_record", pdu.detail)

    def _association(self, pdu: Association, payload: bytes, now: float) -> Fault | None:
        if pdu.kind == pdus.ACCEPTED:
            return self._accept(payload, now)
        if pdu.kind == pdus.REFUSED:
            return self._decline("refused", now)
        reason = "aborted" if pdu.kind == pdus.ABORT else "released"
        self._observations += self._mds.link("disconnected", reason)
        self._leave(now)
        return Fault(reason)

    def _accept(self, payload: bytes, now: float) -> Fault | None:
        if self._asker.asked != ASSOCIATE:
            return None
        granted = association.parse_accepted(payload)
        if granted is None:  # as if all were granted, and with the shortest time-out
            self._asker.extend(now)
            return Fault("grant_unread")
        self._is_foreign = not granted.system_type & association.SERVER
        if self._is_foreign:
            return self._decline("wrong_device", now)
        self._granted = granted
        self._asker.extend(now)
        is_missing = self._options.curve_codes and not granted.extensions & association.CURVES
        return Fault("not_granted", CURVES) if is_missing else None

    def _decline(self, reason: str, now: float) -> Fault:
        """No association. It is asked for again when the patience is over, then after rests that grow."""
        if self._asker.asked == ASSOCIATE:
            self._asker.refused(now)
            if self._mds.connection != "stale":
                self._observations += self._mds.link("disconnected", reason)
        return Fault(reason, ASSOCIATE)

    def _leave(self, now: float) -> None:
        """The association is gone, or as good as gone: nothing is asked for a while, then all of it again."""
        if self._is_associated:
            self._losses = 0 if now >= self._since + HELD_S else self._losses
            self._asker.halt()
            self._retry_at = now + RETRIES_S[min(self._losses, len(RETRIES_S) - 1)]
            self._losses += 1
        self._is_associated = False

    def _event(self, pdu: Event, now: float) -> Fault | None:
        if pdu.event != pdus.MDS_CREATE:
            return Fault("unknown_record", f"event {pdu.event:04X}")
        is_expected = self._asker.asked == ASSOCIATE
        if self._is_foreign or not (is_expected or self._is_associated):
            return None
        self._last_data = now
        self._mds.device_time = pdus.time_of(pdu.attributes.get(pdus.DATE_AND_TIME, b"")) or self._mds.device_time
        self._observations += self._mds.link("connected")
        known = {} if is_expected else self._mds.identity  # a new association: perhaps with another monitor
        self._observations += self._mds.identify({**known, **identity_of(pdu.attributes)})
        self._observations += self._observer.turn(_mode_of(pdu))
        if pdu.is_confirmed:
            self._confirm(pdu, now)
        if is_expected:
            self._asker.answered(now)
            self._is_associated, self._since, self._last_alerts, self._alerts_at = True, now, now, now
            has_extended = bool(self._granted.extensions & association.ONE_SECOND)
            self._poll(is_extended=self._options.poll == "extended" and has_extended, now=now)
        return None

    def _confirm(self, pdu: Event, now: float) -> None:
        self._confirmed = [at for at in self._confirmed if now < at + CONFIRM_S]
        if len(self._confirmed) < MOST_CONFIRMED:
            self._confirmed.append(now)
            self._say(pdus.mds_create_result(pdu.invoke), now)

    def _refusal(self, pdu: Refusal, now: float) -> Fault:
        """What it would not do is not asked of it in this way again; numerics then by single polls."""
        key = BY_INVOKE.get(pdu.invoke, "")
        if key and key == self._asker.asked:
            self._asker.answered(now)
            if key == VALUES and self._is_extended:
                self._poll(is_extended=False, now=now + SPACING_S)
            elif key not in (VALUES, ALIVE):
                self._asker.drop(key)
                self._alerts = None if key == ALERTS else self._alerts
        return Fault("refused", f"{key} {pdu.detail}".strip())

    def _result(self, pdu: PollResult, now: float) -> Fault | None:
        try:
            readings = tuple(read(polled) for polled in pdu.objects)
        except Malformed:
            return Fault("length", f"type {pdu.kind:04X}", rejected=True)
        self._frames += 1
        if self._has_left:
            return None
        key = BY_KIND.get(pdu.kind)
        if key is None or not POLLS[key].is_answered_by(pdu):
            return Fault("unknown_record", f"type {pdu.kind:04X} invoke {pdu.invoke:04X}")
        if self._is_lan and not self._is_associated:
            return Fault("not_associated", key)
        fault, is_old = self._order.check(pdu)
        if is_old:
            return fault
        self._answer(key, pdu, now)
        self._count_unknown(readings)
        self._observe(key, pdu, readings, now)
        return fault

    def _observe(self, key: str, pdu: PollResult, readings: tuple[Reading, ...], now: float) -> None:
        if key == ALIVE:
            for polled, reading in zip(pdu.objects, readings, strict=True):
                identity = identity_of(polled.attributes)
                self._observations += self._mds.identify({**self._mds.identity, **identity})
                self._observations += self._observer.turn(reading.mode)
            return
        if key == ALERTS:
            self._last_alerts = self._alerts_at = now
            self._observations += self._observer.alarm(pdu, readings, is_broken=self._order.is_broken(pdu))
            return
        self._last_data = now
        self._observations += self._mds.link("connected")
        if key == STATES:
            self._observations += self._observer.states(pdu, readings)
        elif key == VALUES:
            self._observations += self._observer.observe(pdu, readings, is_broken=self._order.is_broken(pdu))
        else:
            for item in self._waves.observe(pdu, readings, self._observer.no_patient):
                if isinstance(item, Fault):
                    self._faults.append(item)
                else:
                    self._observations.append(item)

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

    # What time does.

    def _finish(self, now: float) -> Output:
        stale_at = self._last_data + self._stale_after_s
        if now >= stale_at and not self._has_left and self._mds.connection != "stale":
            self._observations += self._mds.link("stale", "silence")
            self._leave(now)
        if self._retry_at is not None and now >= self._retry_at:
            self._ask(now)
        if self._is_associated and self._alerts and now >= self._last_alerts + LOST_S:
            self._last_alerts = now
            self._asker.plan(self._alerts, now)
        if self._is_associated and now >= self._alerts_at + GONE_S:
            self._alerts_at = now
            self._observations += self._observer.alerts.lost()
        self._tick(now)
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

    def _tick(self, now: float) -> None:
        """One datagram holds one frame: what is said goes alone, and a question waits for the next step."""
        if self._has_said and self._is_lan:
            self._has_said = False
            return
        self._has_said = False
        self._asker.tick(now)

    def _wake_at(self, stale_at: float) -> float | None:
        due = [at for at in (self._asker.wake_at(), self._retry_at) if at is not None]
        if self._mds.connection != "stale" and not self._has_left:
            due.append(stale_at)
        if self._line.is_inside:
            due.append(self._last_heard + PATIENCE_S)
        return min(due, default=None)


def _mode_of(event: Event) -> int | None:
    """The operating mode, if the MDS says it."""
    data = event.attributes.get(pdus.OPERATING_MODE, b"")
    return int.from_bytes(data, "big") if len(data) == 2 else None  # noqa: PLR2004 (16 bits)
