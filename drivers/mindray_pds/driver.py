"""Mindray patient monitors over PDS: the box connects, asks once for values and alarms, and echoes each second.

A monitor can also be set to call the box (profile `push`). The box then says nothing, or what `answer` allows, and
that only to the one monitor that the configuration names.

    box ─▶ ┌────┬──────────────────────────────────────┬───────┐      ┌────┬────────────────────────┬───────┐ ─▶ box
           │ VT │ MSH…QRY^R02│1203  QRD  QRF  QRF …    │ FS CR │      │ VT │ MSH…ORU^R01│204  OBX …  │ FS CR │
           │ VT │ MSH…ORU^R01│106           each second│ FS CR │      │ VT │ MSH…ORU^R01│106         │ FS CR │
           └────┴──────────────────────────────────────┴───────┘      └────┴────────────────────────┴───────┘

Mindray, "Patient Data Share Protocol Programmer's Guide", 0010-20-43061-2 rev 10, chapter 6 and Appendix B: HL7 2.3.1
in MLLP on TCP 4601. The monitor drops a client that sends anything else, or no echo for 10 s. frames.py has the
messages, observe.py reads them; what the parameters are is in profile.toml.
"""

from typing import ClassVar

from drivers.contract import Fault, Output
from drivers.framing.mllp import Framer
from drivers.mindray_pds import frames
from drivers.mindray_pds.frames import ECHO_FRAME, Report, query
from drivers.mindray_pds.observe import Observer
from drivers.mindray_pds.options import Options as MindrayPdsOptions
from drivers.observation import AnyObservation
from drivers.profile import Profile

ECHO_S = 1.0
QUERY_REST_S = 10.0
"""From the first query of one connection to that of the next one at the earliest."""
QUERIES = 2
"""One at once, and once more: old firmware does not hear a query while it is telling its set-up."""
NUMERICS_LOST_S = 10.0
"""An echo comes and no values: said once."""
_NEVER = float("-inf")


class MindrayPdsDriver:
    """One monitor on one connection."""

    name: ClassVar[str] = "mindray_pds"
    version: ClassVar[int] = 1
    Options: ClassVar[type[MindrayPdsOptions]] = MindrayPdsOptions

    def __init__(self, profile: Profile, options: MindrayPdsOptions) -> None:
        self._is_called = profile.ports == ("tcp-listen",)
        self._bed = options.bed
        self._query = query(options.group_names, "0&0" if self._is_called else options.asked_bed)
        self._says_echo = not self._is_called or options.answer != "nothing"
        self._says_query = not self._is_called or options.answer == "query"
        self._encoding = options.encoding
        self._framer = Framer(frames.MAX_MESSAGE_BYTES)
        self._observer = Observer(profile, options)
        self._mds = self._observer.mds
        self._stale_after_s = profile.protocol.stale_after_s
        self._is_open = False
        self._meant = ""
        """The address of the bed that is read: of the configuration, else the first that is named."""
        self._is_ours = False
        """What names no bed is of the bed that is meant."""
        self._echo_at = _NEVER
        self._query_at, self._queries = _NEVER, 0
        self._last_frame = self._last_numerics = 0.0
        self._misses_numerics = False
        self._strangers = 0
        self._out = bytearray()
        self._observations: list[AnyObservation] = []
        self._faults: list[Fault] = []
        self._frames = 0

    def start(self, now: float) -> Output:
        """The connection stands: ask, and begin to echo; not at once where the last one began just before."""
        self._framer.drop()
        self._observer.restart()
        self._last_frame = self._last_numerics = now
        self._misses_numerics = False
        self._strangers = self._queries = 0
        self._is_open = True
        self._meant, self._is_ours = self._bed, not self._is_called
        return self._finish(now)

    def receive(self, data: bytes, now: float) -> Output:
        """Whole messages are read; the rest waits for more."""
        for item in self._framer.feed(data):
            if isinstance(item, Fault):
                self._faults.append(item)
            else:
                self._take(Report.from_bytes(item, self._encoding), now)
        return self._finish(now)

    def wake(self, now: float) -> Output:
        """The echo of this second, the query that is due, values that did not come."""
        return self._finish(now)

    def stop(self, now: float) -> Output:
        """The protocol has no goodbye: the echo just ends."""
        self._is_open = False
        self._faults += self._framer.drop()
        self._observations += self._mds.link("disconnected", "stopped")
        return self._finish(now)

    def _finish(self, now: float) -> Output:
        wake_at = None
        if self._is_open:
            self._watch(now)
            self._speak(now)
            wake_at = self._wake_at()
        output = Output(
            send=bytes(self._out),
            observations=tuple(self._observations),
            faults=tuple(self._faults),
            wake_at=wake_at,
            frames=self._frames,
        )
        self._out.clear()
        self._observations, self._faults, self._frames = [], [], 0
        return output

    def _watch(self, now: float) -> None:
        """What did not come."""
        if now >= self._last_frame + self._stale_after_s:
            self._observations += self._mds.link("stale", "silence")
        self._observations += self._observer.expire(now)
        if self._mds.connection != "connected":
            self._observer.hold_alarms(now)
            return
        self._observations += self._observer.expire_alarms(now)
        if self._misses_numerics:
            return
        if now >= self._last_numerics + NUMERICS_LOST_S:
            self._misses_numerics = True
            self._faults.append(Fault("timeout", frames.PERIODIC))

    def _speak(self, now: float) -> None:
        """The query and the echo; there is nothing else that could be sent."""
        if not self._may_speak:
            return
        if self._says_query and self._queries == 0 and now >= self._query_at:
            self._ask()
            self._query_at = now + QUERY_REST_S
        if self._says_echo and now >= self._echo_at:
            self._out += ECHO_FRAME
            self._echo_at = now + ECHO_S

    @property
    def _may_speak(self) -> bool:
        """Nothing is said to a caller that has not named itself."""
        return self._is_ours or not self._is_called

    def _ask(self) -> None:
        self._queries += 1
        self._out += self._query

    def _wake_at(self) -> float | None:
        due: list[float] = []
        if self._may_speak and self._says_echo:
            due.append(self._echo_at)
        if self._may_speak and self._says_query and self._queries == 0:
            due.append(self._query_at)
        if self._mds.connection != "stale":
            due.append(self._last_frame + self._stale_after_s)
        if (expires_at := self._observer.expires_at) is not None:
            due.append(expires_at)
        return min(due, default=None)

    def _take(self, report: Report | Fault, now: float) -> None:
        if isinstance(report, Fault):
            self._refuse(report)
            return
        self._frames += 1
        self._strangers = 0
        if not self._is_open:
            return
        if report.has_patient:
            self._faults.append(Fault("patient_data", report.kind))
        if not self._is_of_the_bed(report):
            self._faults.append(Fault("other_bed" if report.bed else "unnamed_bed", report.kind))
            return
        self._last_frame = now
        self._observations += self._mds.link("connected")
        if report.kind == frames.ECHO and 0 < self._queries < QUERIES:
            self._ask()
        seen, faults = self._read(report, now)
        self._observations += seen
        self._faults += faults

    def _is_of_the_bed(self, report: Report) -> bool:
        """Whether a message is of the bed that is meant. One that names none is of the bed that 103 named last.

        Whom the box calls is known until 103 names another bed; a caller is nobody until 103 names it. A snapshot
        speaks for itself, and a gateway has many: it is read where the configuration names the bed.
        """
        if report.kind == frames.SNAPSHOT:
            return bool(self._bed) and report.address == self._bed
        if not report.bed:
            return self._is_ours or (report.kind == frames.ECHO and not self._is_called)
        is_patient = report.kind == frames.PATIENT
        if not self._meant:
            if not self._is_called:  # the first that is named: what is named later may come through a gateway
                self._meant = report.address
            return not self._is_called
        is_it = report.address == self._meant
        if is_patient:
            if self._is_ours and not is_it:
                self._observations += self._observer.disown("other_bed")
            self._is_ours = is_it
        return is_it

    def _refuse(self, fault: Fault) -> None:
        """One damaged message may look like another make's; two in a row are."""
        self._faults.append(fault)
        if fault.reason != "wrong_device":
            return
        self._strangers += 1
        if self._strangers == 2 and self._is_open:
            self._observations += self._observer.disown("wrong_device")
            self._observations.append(self._mds.told("wrong_device"))

    def _read(self, report: Report, now: float) -> tuple[list[AnyObservation], list[Fault]]:
        match report.kind:
            case frames.PERIODIC | frames.APERIODIC | frames.SNAPSHOT:
                if report.kind != frames.APERIODIC:
                    self._last_numerics, self._misses_numerics = now, False
                return self._observer.numerics(report, now)
            case frames.LIMITS:
                return self._observer.limits(report, now)
            case frames.PHYSIOLOGICAL | frames.TECHNICAL:
                return self._observer.alarms(report, now)
            case frames.MODULE:
                return self._observer.modules(report)
            case frames.LEVELS | frames.SETTINGS | frames.MARKS:
                return self._observer.settings(report)
            case frames.ECHO | frames.ONLINE | frames.PATIENT:
                return [], []
        return [], [Fault("unknown_message", report.kind)]
