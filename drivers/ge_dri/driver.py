"""GE / Datex-Ohmeda patient monitors (DRI): asked once, they send values, trends, waveforms; alarms are asked for.

    box ─▶ ┌────┬───────────────────────────┬──────┬──────────┬─────────────┬──────────┬────┬────┐
           │ 7E │ 31 00 … 00 FF 00 … header │ 01   │ 0A 00    │ 00 00 00 00 │ 00 00    │ ck │ 7E │
           │    │ 40 bytes, main type 0     │ kind │ interval │ class bits  │ reserved │    │    │
           └────┴───────────────────────────┴──────┴──────────┴─────────────┴──────────┴────┴────┘
           ┌────┬────────┬──────────────────────────────────────────────────────┬────┬────┐ ─▶ box
           │ 7E │ header │ time 4 │ class body 270 │ marker 1 │ 1 │ class, … 2    │ ck │ 7E │
           └────┴────────┴──────────────────────────────────────────────────────┴────┴────┘

Datex-Ohmeda Record Interface specification (8005313) and Computer Interface (M1017617), sections on physiological,
waveform and alarm records. frames.py finds and verifies records, layout.py has the places of the basic class,
observe.py, waves.py and alarms.py read them, requests.py makes every request there is.
"""

from typing import ClassVar

from msgspec.structs import replace

from drivers.contract import Fault, Output
from drivers.ge_dri import alarms, layout, requests, waves
from drivers.ge_dri.frames import Framer, Part, Record
from drivers.ge_dri.observe import PREFIXES, Observer
from drivers.ge_dri.options import CURVES
from drivers.ge_dri.options import Options as GeDriOptions
from drivers.ge_dri.subscriptions import Subscription, Subscriptions
from drivers.observation import AnyObservation
from drivers.profile import Profile

PATIENCE_S = 5.0
"""What is half received and stands still for so long will not come."""
ALARMS_FROM_LEVEL = 10
"""Below it a monitor tells no alarms on the serial line."""
_KEYS = {requests.DISPLAYED: "displayed", requests.TREND_10S: "10s", requests.TREND_60S: "60s"}
_WAVES, _ALARMS = "waves", "alarms"
WAVE_SILENCE_S = 10.0
ALARM_SILENCE_S = 10.0
ALARMS_GONE_S = 120.0
"""Then whether they are still on is not known."""
TREND_SILENCE_S = 300.0
"""A trend comes only once a case is started at the monitor: asked for again rarely."""


class GeDriDriver:
    """One patient monitor."""

    name: ClassVar[str] = "ge_dri"
    version: ClassVar[int] = 1
    Options: ClassVar[type[GeDriOptions]] = GeDriOptions

    def __init__(self, profile: Profile, options: GeDriOptions) -> None:
        self._options = options
        self._framer = Framer()
        self._observer = Observer(profile)
        self._mds = self._observer.mds
        self._waves = waves.Waves(profile, options.chosen)
        self._alarm_row = profile.by_code.get("ALARM")
        self._asked = Subscriptions()
        self._stale_after_s = profile.protocol.stale_after_s
        self._last_heard = self._last_data = self._alarms_at = 0.0
        self._has_left = False
        self._observations: list[AnyObservation] = []
        self._faults: list[Fault] = []
        self._frames = 0

    def start(self, now: float) -> Output:
        """Forget what was half received; ask for the displayed values."""
        self._framer.drop()
        self._observer.restart()
        self._waves.restart()
        self._last_heard = self._last_data = now
        self._has_left = False
        self._asked.begin(self._displayed(), self._others(), now)
        return self._finish(now)

    def _displayed(self) -> Subscription:
        return _physiological(requests.DISPLAYED, self._options.interval_s, self._options.interval_s + 10.0)

    def _others(self) -> list[Subscription]:
        found = [
            _physiological(kind, seconds, TREND_SILENCE_S)
            for kind, seconds in requests.TREND_INTERVALS_S.items()
            if _KEYS[kind] in self._options.chosen_trends
        ]
        types = tuple(CURVES[code][0] for code in self._options.chosen)
        if types:
            goodbye = requests.waves(types, stop=True)
            found.append(Subscription(_WAVES, requests.waves(types), goodbye, WAVE_SILENCE_S))
        return found

    def receive(self, data: bytes, now: float) -> Output:
        """Whole records are read; the rest waits for more."""
        self._settle(now)
        self._last_heard = now
        for item in self._framer.feed(data):
            if isinstance(item, Fault):
                self._faults.append(item)
            else:
                self._take(item, now)
        return self._finish(now)

    def wake(self, now: float) -> Output:
        """Requests and time-outs."""
        self._settle(now)
        return self._finish(now)

    def stop(self, now: float) -> Output:
        """Stop everything that was asked for."""
        goodbye = b"" if self._has_left else self._asked.end()
        self._has_left = True
        self._observations += self._mds.link("disconnected", "stopped")
        return self._finish(now, goodbye)

    def _settle(self, now: float) -> None:
        if now >= self._last_heard + PATIENCE_S:
            self._faults += self._framer.drop()

    def _take(self, record: Record, now: float) -> None:
        """A record is believed when its subrecords have the sizes that they must have."""
        if any(part.kind == requests.REQUEST for part in record.parts):
            self._faults.append(Fault("echo", str(record.main)))  # what the box sent, or another host: no monitor's
            return
        if not all(_is_whole(record.main, part) for part in record.parts):
            self._faults.append(Fault("subrecord", str(record.main), rejected=True))
            return
        self._frames += 1
        if self._has_left:
            return
        self._last_data = now
        self._observations += self._mds.link("connected")
        self._observations += self._mds.identify({"dri_level": str(record.level), "plug_id": str(record.plug)})
        if self._options.alarms and self._alarm_row and record.level >= ALARMS_FROM_LEVEL:
            self._asked.add(Subscription(_ALARMS, requests.alarms(), b"", ALARM_SILENCE_S, self._options.alarms_s))
        for part in record.parts:
            self._observe(record, part, now)

    def _observe(self, record: Record, part: Part, now: float) -> None:
        if record.main == requests.PHYSIOLOGICAL and part.kind in PREFIXES:
            self._physiological(record, part, now)
        elif record.main == requests.WAVES:
            self._wave(record, part, now)
        elif record.main == requests.ALARMS and self._alarm_row:
            self._asked.heard(_ALARMS, now)
            self._alarms_at = now
            self._mds.device_time = str(record.time)
            screen = alarms.Screen.from_bytes(part.data)
            active = alarms.alerts(screen, self._alarm_row, str(record.time))
            self._observations += self._mds.alerts(_ALARMS, active)
            self._observations += self._observer.tell("ALARM_SOUND", str(screen.sound))
            self._observations += self._observer.tell("ALARM_SILENCE", str(screen.silence))
        else:
            # Network records hold the patient's name: what others say is not kept.
            self._faults.append(Fault("unknown_record", f"{record.main}.{part.kind}"))

    def _physiological(self, record: Record, part: Part, now: float) -> None:
        self._asked.heard(_KEYS[part.kind], now)
        if (found := layout.class_of(part.data)) != 0:
            self._faults.append(Fault("unknown_record", f"class {found}"))
            return
        self._observations += self._observer.observe(part.kind, layout.read(part.data), record.level)

    def _wave(self, record: Record, part: Part, now: float) -> None:
        seen = self._waves.observe(part, str(record.time))
        if isinstance(seen, Fault):
            self._faults.append(seen)
            return
        self._asked.heard(_WAVES, now)
        if seen is not None:
            self._observations.append(seen)

    def _finish(self, now: float, send: bytes = b"") -> Output:
        stale_at = self._last_data + self._stale_after_s
        if now >= stale_at and not self._has_left and self._mds.connection != "stale":
            self._observations += self._mds.link("stale", "silence")
            self._asked.wait()
        if self._mds.connection != "connected":
            self._alarms_at = now
        elif now >= self._alarms_at + ALARMS_GONE_S:
            self._alarms_at = now
            gone = self._mds.alerts(_ALARMS, {})
            self._observations += [replace(one, validity="not_available", reason="not_sent") for one in gone]
        if not self._has_left:
            send, repeated = self._asked.tick(now)
            if repeated:
                self._faults.append(Fault("timeout", repeated))
        output = Output(
            send=send,
            observations=tuple(self._observations),
            faults=tuple(self._faults),
            wake_at=self._wake_at(now, stale_at),
            frames=self._frames,
        )
        self._observations, self._faults, self._frames = [], [], 0
        return output

    def _wake_at(self, now: float, stale_at: float) -> float | None:
        asked = None if self._has_left else self._asked.wake_at(now)
        due = [] if asked is None else [asked]
        if self._mds.connection != "stale" and not self._has_left:
            due.append(stale_at)
        if self._framer.is_inside:
            due.append(self._last_heard + PATIENCE_S)
        return min(due, default=None)


def _physiological(kind: int, seconds: int, silence_s: float) -> Subscription:
    ask, goodbye = requests.physiological(kind, seconds), requests.physiological(kind, requests.STOP_S)
    return Subscription(_KEYS[kind], ask, goodbye, silence_s)


def _is_whole(main: int, part: Part) -> bool:
    if main == requests.PHYSIOLOGICAL and part.kind in PREFIXES:
        return len(part.data) == layout.SUBRECORD_BYTES
    if main == requests.WAVES:
        return waves.is_whole(part)
    return main != requests.ALARMS or len(part.data) >= alarms.LEAST_BYTES
