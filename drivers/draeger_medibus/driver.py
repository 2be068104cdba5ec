"""Dräger MEDIBUS 4.03: the box asks, the device answers; real-time samples may stand between and inside the answers.

    box ─▶ ┌─────┬──────┬──────────┬────┬────┐      ┌─────┬──────┬─────────────────┬────┬────┐ ─▶ box
           │ ESC │ code │ argument │ ck │ CR │      │ SOH │ echo │ records         │ ck │ CR │
           └─────┴──────┴──────────┴────┴────┘      └─────┴──────┴─────────────────┴────┴────┘
    device ─▶ box as well: ICC 51H, 52H, NOP 30H, 49H … each is answered, at least with its empty echo

Dräger, MEDIBUS protocol definition rev 4.03 (90 28 258, 7th ed. 2003), section "Message format"; data codes from
"MEDIBUS for Dräger intensive care devices". frames.py takes the stream apart, records.py the responses, realtime.py
the curves; link.py keeps the link; observe.py makes observations; what differs between devices is in profile.toml.
"""

import re
from collections.abc import Callable
from typing import ClassVar

from drivers.contract import Fault, Output
from drivers.draeger_medibus import link as medibus
from drivers.draeger_medibus.frames import (
    NAK,
    Command,
    DamagedCommand,
    Demultiplexer,
    FastBytes,
    Item,
    Response,
    Signal,
)
from drivers.draeger_medibus.observe import Observer
from drivers.draeger_medibus.options import Options as MedibusOptions
from drivers.draeger_medibus.realtime import PREFIX, Realtime
from drivers.draeger_medibus.records import (
    MEASURED_WIDTH,
    SETTING_WIDTH,
    Identity,
    parse_alarms,
    parse_clock,
    parse_curves,
    parse_identity,
    parse_texts,
    parse_values,
)
from drivers.mds import Mds
from drivers.observation import AnyObservation
from drivers.profile import Metric, Profile

_DO_NOT_SEND = re.compile(r"(\S+).* ([0-9]{2}\.[0-9]{2})-([0-9]{2}\.[0-9]{2}):")
"""An entry of `do_not_send`: the name's first word, the lowest and the highest revision, a colon, the reason."""
_WIDTHS = {**dict.fromkeys((0x24, 0x25, 0x26, 0x2B, 0x2C, 0x2D), MEASURED_WIDTH), 0x29: SETTING_WIDTH}
_OF_THE_BREATH = (0x24, 0x2B)
_ALARMS = (0x27, 0x2E)
_ARGUMENTS_SINCE = "03.00"
"""Devices of an older MEDIBUS must not be sent commands with arguments."""
_CLOCK, _TEXTS, _DEVICE_SPECIFIC = 0x28, 0x2A, 0x6A
_ACKNOWLEDGEMENTS = frozenset(
    (
        *(NAK, medibus.NOP, medibus.TIME_CHANGED, medibus.CONFIGURE, medibus.ICC),
        *(medibus.CONFIGURE_CURVES, medibus.STOP, medibus.CURVES_CHANGED),
    )
)
"""Echoes that never carry data."""


class MedibusDriver:
    """One MEDIBUS link. The class does nothing but hand things on in the right order."""

    name: ClassVar[str] = "draeger_medibus"
    version: ClassVar[int] = 1
    Options: ClassVar[type[MedibusOptions]] = MedibusOptions

    def __init__(self, profile: Profile, options: MedibusOptions) -> None:
        self._profile, self._options = profile, options
        self._demultiplexer = Demultiplexer()
        self._link = medibus.Link(options)
        self._realtime = Realtime()
        self._mds = Mds()
        self._observer = Observer(profile, self._mds, options.plan)
        self._stale_after_s = profile.protocol.stale_after_s
        self._now = self._last_frame = self._last_fast = 0.0
        self._is_forbidden = False
        self._has_left = False
        self._observations: list[AnyObservation] = []
        self._faults: list[Fault] = []
        self._frames = 0
        self._readers: dict[int, Callable[[Response], bool]] = {
            **dict.fromkeys(_WIDTHS, self._read_values),
            **dict.fromkeys(_ALARMS, self._read_alarms),
            **dict.fromkeys(_ACKNOWLEDGEMENTS, self._read_nothing),
            _CLOCK: self._read_clock,
            _TEXTS: self._read_texts,
            medibus.IDENTIFY: self._read_identity,
            medibus.CURVES: self._read_curves,
        }

    def start(self, now: float) -> Output:
        """Forget what was half received; call the device."""
        self._demultiplexer.drop()
        self._forget_configuration()
        self._last_frame = now
        self._has_left = False
        self._observer.restart()
        if not self._is_forbidden:
            self._link.start(now)
        return self._finish(now)

    def receive(self, data: bytes, now: float) -> Output:
        """Whole frames are answered and read; the rest waits for more."""
        self._now = now
        items = self._demultiplexer.feed(data)
        if self._demultiplexer.has_heard:
            self._link.heard(now)
        for item in items:
            self._take(item)
        return self._finish(now)

    def wake(self, now: float) -> Output:
        """Polls, repeats and time-outs."""
        if now >= self._link.last_heard + medibus.IDLE_S and self._demultiplexer.is_inside:
            self._faults += self._demultiplexer.drop()
        if now >= self._last_fast + medibus.IDLE_S:
            self._observations += self._realtime.flush(self._mds.device_time)
        return self._finish(now)

    def stop(self, now: float) -> Output:
        """STOP, so that the ventilator does not tell the nurse of a broken link."""
        self._link.stop()
        self._has_left = True
        self._observations += self._realtime.flush(self._mds.device_time)
        self._observations += self._observer.link("disconnected", "stopped")
        return self._finish(now)

    def _finish(self, now: float) -> Output:
        if self._stale_after_s and not self._has_left and now >= self._last_frame + self._stale_after_s:
            self._observations += self._observer.link("stale", "silence")
        self._link.tick(now)
        send, faults = self._link.take()
        output = Output(
            send=send,
            observations=tuple(self._observations),
            faults=(*self._faults, *faults),
            wake_at=self._wake_at(),
            frames=self._frames,
        )
        self._observations, self._faults, self._frames = [], [], 0
        return output

    def _wake_at(self) -> float | None:
        due = [at for at in (self._link.wake_at(),) if at is not None]
        if self._stale_after_s and self._mds.connection != "stale" and not self._has_left:
            due.append(self._last_frame + self._stale_after_s)
        if self._realtime.has_samples:
            due.append(self._last_fast + medibus.IDLE_S)
        return min(due, default=None)

    def _take(self, item: Item) -> None:
        match item:
            case FastBytes():
                self._last_fast = self._now
                waves, faults = self._realtime.feed(item.data, self._mds.device_time)
                self._observations += waves
                self._faults += faults
            case Response():
                self._respond(item)
            case Command():
                self._command(item)
            case Signal():
                self._link.signal(item.kind, self._now)
            case DamagedCommand():
                self._faults.append(item.fault)
                self._link.refuse(self._now)
            case Fault():
                self._faults.append(item)
                if item.rejected:
                    self._link.damaged()

    def _verified(self) -> None:
        """A whole frame, length, checksum and layout right."""
        self._frames += 1
        self._last_frame = self._now
        if not self._has_left:
            self._observations += self._observer.link("connected")

    def _command(self, command: Command) -> None:
        self._verified()
        self._link.command(command, self._now)
        if command.code in (medibus.ICC, medibus.CURVES_CHANGED):
            self._forget_configuration()
        elif command.code == medibus.TIME_CHANGED:
            self._mds.device_time = ""
        elif command.code == medibus.STOP:
            self._observations += self._observer.link("disconnected", "device_stopped")

    def _respond(self, response: Response) -> None:
        reader = self._readers.get(response.echo, self._read_raw)
        if not reader(response):
            self._faults.append(Fault("layout", f"{response.echo:02X}", rejected=True))
            self._link.damaged()
            return
        self._link.response(response, self._now)
        if response.echo == medibus.ICC:
            self._forget_configuration()
        if self._is_forbidden:
            self._link.halt()

    def _forget_configuration(self) -> None:
        """An ICC voids what was configured on either side; the device's clock is read anew."""
        self._observations += self._realtime.forget(self._mds.device_time)
        self._mds.device_time = ""

    def _read_values(self, response: Response) -> bool:
        records = parse_values(response.data, _WIDTHS[response.echo])
        if records is None:
            return False
        self._verified()
        if response.echo in _OF_THE_BREATH:  # the curves up to here and the values of the breath: one time
            self._observations += self._realtime.flush(self._mds.device_time)
        self._observations += self._observer.values(response.echo, records)
        return True

    def _read_texts(self, response: Response) -> bool:
        records = parse_texts(response.data)
        if records is None:
            return False
        self._verified()
        self._observations += self._observer.texts(response.echo, records)
        return True

    def _read_alarms(self, response: Response) -> bool:
        alarms = parse_alarms(response.data)
        if alarms is None:
            return False
        self._verified()
        self._observations += self._observer.alarms(response.echo, alarms)
        return True

    def _read_nothing(self, response: Response) -> bool:
        if response.data:
            return False
        self._verified()
        return True

    def _read_raw(self, response: Response) -> bool:
        """6AH and what later revisions may add: published as sent, the document has no layout for it."""
        self._verified()
        if response.data:
            self._observations += self._observer.raw(response.echo, response.data)
        elif response.echo != _DEVICE_SPECIFIC:
            self._faults.append(Fault("unknown_response", f"{response.echo:02X}"))
        return True

    def _read_clock(self, response: Response) -> bool:
        """A device without a clock answers with the empty echo."""
        told = parse_clock(response.data) if response.data else ""
        self._mds.device_time = told or ""
        if told is None:
            return False
        self._verified()
        return True

    def _read_identity(self, response: Response) -> bool:
        identity = parse_identity(response.data) if response.data else None
        if response.data and identity is None:
            return False
        self._verified()
        told = identity.id if identity else ""
        is_right = not self._options.ids or told in self._options.ids
        if not is_right:
            self._faults.append(Fault("wrong_device", told) if told else Fault("no_identification"))
            self._observations += self._realtime.forget(self._mds.device_time)
        if identity and self._must_not_be_asked(identity):
            self._is_forbidden = True
            self._faults.append(Fault("do_not_send", told))
        if identity and identity.medibus.replace(" ", "0") < _ARGUMENTS_SINCE:
            self._link.ask_plainly()
        self._observations += self._observer.identify(identity, is_right=is_right)
        return True

    def _must_not_be_asked(self, identity: Identity) -> bool:
        """Perseus A500 SW 2.00 to 2.02 restarted when packets did not conform: nothing more is sent to one."""
        revision = identity.revision.replace(" ", "0")
        for entry in self._profile.protocol.do_not_send:
            rule = _DO_NOT_SEND.match(entry)
            if rule and rule[1].casefold() in identity.name.casefold() and rule[2] <= revision <= rule[3]:
                return True
        return False

    def _read_curves(self, response: Response) -> bool:
        configs = parse_curves(response.data)
        if configs is None:
            return False
        self._verified()
        offered = {config.code: config for config in configs}
        wanted = [code for code in self._options.curve_codes if code in offered]
        self._faults += [Fault("curve_unavailable", c) for c in self._options.curve_codes if c not in offered]
        self._observations += self._realtime.flush(self._mds.device_time)
        self._realtime.configure([(self._curve(code), offered[code]) for code in wanted])
        self._link.configure_curves(wanted)
        return True

    def _curve(self, code: str) -> Metric:
        """The profile's row, or none but the vendor's code: its samples are then published as counted."""
        return self._observer.metric(PREFIX + code) or Metric(code=PREFIX + code, kind="waveform")
