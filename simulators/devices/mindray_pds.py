r"""A Mindray monitor (BeneView T, iPM, iMEC, uMEC, DPM, VS) that shares its data: PDS, HL7 2.3.1 over TCP 4601.

    box                                   monitor
    connects                    ──▶
                                ◀──  103 patient, 11 modules, 51 alarm limits, 58
                                ◀──  106 echo, 54 and 56 alarms, each second
    106 each second             ──▶
    QRY^R02 1203                ──▶       no acknowledgement
                                ◀──  204 each second, 503 when the cuff has measured

A malformed query gets no answer. Whatever else the box says ends the connection (`is_hung_up`), as ten seconds
without an echo do; the monitor then waits for `connected`. With `source` = gateway the messages 2 of a PDS gateway
come instead of 204 and 503, and each QRF has to name its bed, of which there may be several.

With `role` = client the monitor calls the box and says all that by itself, without a query; it ends the connection
for a wrong word, but not for a missing echo. `announcement` is what a monitor broadcasts each second on UDP 4600.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from simulators.devices import mindray_frames as wire
from simulators.devices.reporter import CLOCK_FAULT, CLOCK_STEPS_S
from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Option, Simulator
from simulators.devices.vitals import SENSOR_OFF, Vitals

ECHO_TIMEOUT_S = 10.0
DUMP_AFTER_S = 0.05
DUMP_STEP_S = 0.02
TICK_S = 1.0
RECONNECT_AFTER_S = 10.0
HISTORY_KEPT = 10_000
YES_NO = ("no", "yes")
CODECS = {"utf-8": "utf-8", "gbk": "gbk", "latin-1": "latin-1"}
IP = 3232237756
IP_SEQ = "0"
PORT = "4601"
PATIENTS = {
    "zh": (("张", "伟"), ("王", "芳"), ("李", "娜")),
    "fr": (("Éluard", "Paul"), ("Desbordes", "Célestine"), ("Müller", "Chloé")),
    "en": (("Doe", "Jane"), ("Roe", "Richard"), ("Stiles", "John")),
}
BEDS_LIMIT = 16
STEPS_KEPT = 1_000
BED_SEED = 7919
ALARM_TEXTS: Mapping[str, Mapping[str, str]] = {
    "spo2_high": {"en": "SpO2 TOO HIGH", "fr": "SpO2 trop élevée", "zh": "SpO2 过高"},
    "hr_high": {"en": "HR TOO HIGH", "fr": "FC trop élevée", "zh": "HR 过高"},
    "rr_low": {"en": "RR TOO LOW", "fr": "FR trop basse", "zh": "RR 过低"},
    SENSOR_OFF: {"en": "SpO2 Sensor Off", "fr": "Capteur SpO2 débranché", "zh": "SpO2 传感器脱落"},
}
ALARM_CODES = {"spo2_high": "10033", "hr_high": "19001", "rr_low": "19002", SENSOR_OFF: "205"}
"""10033 and 205 are the guide's; the other two stand in for numbers that are not known."""


class Reading(NamedTuple):
    """What a message that left undamaged said."""

    at: float
    kind: str
    """MSH-10: 204, 503, 2, 54 or 56."""
    values: Mapping[str, str]
    """Parameter → text as sent; of an alarm its code → `level text`."""
    measured: str = ""
    """OBX-14 of an aperiodic measurement."""
    bed: str = ""
    """IP and IPSeq of a gateway's bed."""


class _Bed:
    """A bed and who lies in it."""

    def __init__(self, number: int, patient: Vitals) -> None:
        self.number = number
        self.ip = str(IP + number)
        self.key = f"{self.ip}&{IP_SEQ}"
        self.name = str(number + 3)
        self.patient = patient
        self.cuff_told: tuple[int, float] = (-2, 0.0)


class MindrayPds(Simulator):
    """The monitor's side of PDS; listening on TCP, or calling a box that listens."""

    NAME: ClassVar[str] = "mindray_pds"
    DESCRIPTION: ClassVar[str] = "Mindray patient monitor, Patient Data Share (HL7 2.3.1), TCP"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {name: what for name, what in COMMON_FAULTS.items() if name != "bad_checksum"}
        | dict(CLOCK_FAULT)
        | {"no_last_cr": "the last segment of a message lacks its CR", "mute_echo": "an echo is left out"}
    )
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(COMMON_FAULTS) - {"bad_checksum"}
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "role": Option("server", "server: the monitor waits for the box | client: the monitor calls the box"),
            "unasked": Option("yes", "yes: a monitor that calls sends all parameters without a query | no"),
            "source": Option("monitor", "monitor | gateway: a PDS gateway sends messages 2"),
            "beds": Option("1", f"beds of the gateway, 1 to {BEDS_LIMIT}"),
            "ignores_early_query": Option("no", "yes: a query before the first echo is not heard, as by an old uMEC"),
            "send_all": Option("ignored", "ignored | works: what a query for all parameters brings"),
            "missing": Option("-100", "-100 | -10 | both: how a missing value is written"),
            "low_cvp": Option("no", "yes: the CVP is about -10 mmHg, and -10 is then its value"),
            "temperature": Option("celsius", "celsius | fahrenheit"),
            "names": Option("guide", "guide | other: names of parameters as another firmware writes them"),
            "periodic_mark": Option("no", "yes: OBX-13 of periodic values is PERIODIC instead of empty"),
            "language": Option("en", "en | fr | zh: alarms and the patient's name"),
            "encoding": Option("utf-8", "utf-8 | gbk | latin-1"),
            "absent_rate": Option("0.05", "chance that a value which can be absent is so in a second, 0 to 1"),
            "cuff_every_s": Option("300", "the cuff measures this often; 0 = never"),
            "cuff_repeat_s": Option("30", "the last measurement is sent again this often; 0 = once"),
            "alarm_every_s": Option("60", "an alarm of 15 seconds starts this often; 0 = none"),
            "alarm_time": Option("onset", "onset | now: the time in an alarm"),
            "started": Option("20260101080000", "what the monitor's clock shows when it is switched on"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent = 0
        """Messages with values or alarms that left undamaged."""
        self.history: deque[Reading] = deque(maxlen=HISTORY_KEPT)
        self.heard: Counter[str] = Counter()
        """Messages of the box: 106 and 1203, the latter only when well-formed."""
        self.deaf_queries = 0
        """Good queries that came too early for an old monitor."""
        self.unanswered_beds = 0
        """Conditions for a bed that is not here."""
        self.timeouts = 0
        self.hasty = 0
        """Connections of the box within ten seconds of the one before."""
        self._is_calling = self.choice("role", ("server", "client")) == "client"
        self._is_pushing = self._is_on("unasked") and self._is_calling
        self._is_gateway = self.choice("source", ("monitor", "gateway")) == "gateway"
        self._ignores_early = self._is_on("ignores_early_query")
        self._all_works = self.choice("send_all", ("ignored", "works")) == "works"
        self._missing = self.choice("missing", ("-100", "-10", "both"))
        self._low_cvp = self._is_on("low_cvp")
        self._is_fahrenheit = self.choice("temperature", ("celsius", "fahrenheit")) == "fahrenheit"
        self._beds_number = int(self.choice("beds", tuple(str(number + 1) for number in range(BEDS_LIMIT))))
        if self._beds_number > 1 and not self._is_gateway:
            raise ValueError(f"{self.NAME}: option beds = {self._beds_number} needs source = gateway")
        self._other_names = self.choice("names", ("guide", "other")) == "other"
        self._mark = "PERIODIC" if self._is_on("periodic_mark") else ""
        self._tells_onset = self.choice("alarm_time", ("onset", "now")) == "onset"
        self._language = self.choice("language", tuple(PATIENTS))
        self._codec = CODECS[self.choice("encoding", tuple(CODECS))]
        self._repeat_s = self.seconds("cuff_repeat_s")
        self._habits = tuple(self.seconds(name) for name in ("alarm_every_s", "cuff_every_s", "absent_rate"))
        self._clock = datetime.strptime(self.options["started"], "%Y%m%d%H%M%S")  # noqa: DTZ007 - a device's clock
        self._connected_at: float | None = None
        self._steps: deque[tuple[float, float]] = deque(maxlen=STEPS_KEPT)
        self._power_on(0.0)
        self._close()

    def _is_on(self, option: str) -> bool:
        return self.choice(option, YES_NO) == "yes"

    def _power_on(self, now: float) -> None:
        self._on_at = now
        alarm_s, cuff_s, absent = self._habits
        self.beds = [
            _Bed(number, Vitals(self.seed + number * BED_SEED, now, 1.0, alarm_s, cuff_s, absent))
            for number in range(self._beds_number)
        ]
        self.patient = self.beds[0].patient

    def _open(self, now: float) -> None:
        """A connection begins: first the dump, then the seconds."""
        self._close()
        self.is_hung_up = False
        self._is_open = True
        self._echoed_at = now
        self._dump.extend(self._configuration())
        self._dump_at = now + DUMP_AFTER_S
        self._tick_at = now + TICK_S

    def _close(self) -> None:
        self._is_open = False
        self._heard_bytes = bytearray()
        self._is_lost = False
        self._dump: deque[bytes] = deque()
        self._dump_at = self._tick_at = self._echoed_at = 0.0
        self._has_echoed = False
        self.conditions: tuple[wire.Condition, ...] = ()
        """What the last good query asked for."""
        self._forget_cuffs()

    def _forget_cuffs(self) -> None:
        """The last measurements are told again."""
        for bed in self.beds:
            bed.cuff_told = (-2, 0.0)

    def _hang_up(self) -> None:
        self._close()
        self.is_hung_up = True

    # -- the clock -------------------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """A new TCP connection: everything begins again but the patient."""
        super().connected(now)
        if self._connected_at is not None and now - self._connected_at < RECONNECT_AFTER_S:
            self.hasty += not self._is_calling
        self._connected_at = now
        self._open(now)

    def disconnected(self, now: float) -> None:
        """The TCP connection is gone, and with it the query."""
        super().disconnected(now)
        self._close()

    def _start(self, now: float) -> None:
        self._power_on(now)
        if self._is_linked:
            self._open(now)

    def _thaw(self, now: float) -> None:
        self._heard_bytes.clear()
        self._is_lost = True
        self._dump_at = max(self._dump_at, now)
        self._tick_at = max(self._tick_at, now)

    def _reboot(self, now: float) -> None:
        self._power_on(now)
        self._hang_up()

    def _due(self) -> float | None:
        if not self._is_open:
            return None
        return min(self._dump_at if self._dump else self._tick_at, self._tick_at, self._given_up_at)

    @property
    def _given_up_at(self) -> float:
        """When the monitor ends a connection on which nothing was echoed; never one that it made itself."""
        return float("inf") if self._is_calling else self._echoed_at + ECHO_TIMEOUT_S

    def _tick(self, now: float) -> None:
        if now >= self._given_up_at:
            self.timeouts += 1
            self._hang_up()
        elif self._dump and now >= self._dump_at:
            self._dump_at = now + DUMP_STEP_S
            self._put(self._dump.popleft(), now)
        else:
            self._tick_at = now + TICK_S
            self._say_second(now)

    # -- what the box says -----------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        if not self._is_open:
            return
        self._heard_bytes += data
        while self._is_open and (end := self._heard_bytes.find(wire.END)) >= 0:
            whole = bytes(self._heard_bytes[: end + len(wire.END)])
            del self._heard_bytes[: len(whole)]
            if self._is_lost and not whole.startswith(wire.START):
                self._is_lost = False
                continue
            self._is_lost = False
            self._obey(whole, now)
        if len(self._heard_bytes) > wire.MESSAGE_LIMIT_BYTES or self._heard_bytes[:1] not in (b"", wire.START):
            if not self._is_lost:
                self._refuse(bytes(self._heard_bytes))
            self._heard_bytes.clear()

    def _refuse(self, raw: bytes) -> None:
        """Anything the protocol does not know ends the connection."""
        self.illegal.append(raw)
        self._hang_up()

    def _obey(self, whole: bytes, now: float) -> None:
        body = whole[1 : -len(wire.END)]
        kind = wire.kind_of(body) if whole.startswith(wire.START) else ""
        if kind == wire.ECHO and wire.is_echo(body):
            self.heard[kind] += 1
            self._echoed_at = now
        elif kind == wire.QUERY:
            query = wire.query_of(body)
            if query is None:
                self.illegal.append(whole)
            else:
                self._ask(query, kind)
        else:
            self._refuse(whole)

    def _ask(self, query: wire.Query, kind: str) -> None:
        self.heard[kind] += 1
        beds = {bed.key for bed in self.beds} if self._is_gateway else {"0&0"}
        known = tuple(condition for condition in query.conditions if condition.bed in beds)
        self.unanswered_beds += len(query.conditions) - len(known)
        if not known:
            return
        if self._ignores_early and not self._has_echoed:
            self.deaf_queries += 1
        else:
            self.conditions = known
            self._forget_cuffs()

    # -- what the monitor says -------------------------------------------------------------------------------------

    def _stamp(self, at: float) -> str:
        """What the clock showed at `at`: what was measured before a step keeps its time."""
        stepped_s = next((total for since, total in reversed(self._steps) if since <= at), 0.0)
        return f"{self._clock + timedelta(seconds=int(at - self._on_at) + stepped_s):%Y%m%d%H%M%S}"

    def announcement(self, number: int = 0) -> bytes:
        """The message 101 with which a bed is announced each second: a datagram to port 4600."""
        bed = self.beds[number]
        patient, place = self._patient_segments(bed)[:2]
        segments = ["EVN||00000000|", patient, place, wire.observation("ST", "2304^MonitorName", "", f"M{bed.name}")]
        segments.append(wire.observation("ST", "2308^BedNoStr", "", bed.name))
        return self._message("101", segments, r"MSH|^~\&|||||||ADT^A01|101|P|2.3.1|")

    def _message(self, kind: str, segments: list[str], header: str = "") -> bytes:
        return wire.message(kind, segments, self._codec, header)

    def _put(self, whole: bytes, now: float) -> bool:
        """Whether it left undamaged; nothing leaves once a fault has silenced this second."""
        return self._is_open and self._frozen_until is None and bool(self._emit(whole, now).good)

    def _say(
        self, kind: str, segments: list[str], values: Mapping[str, str], now: float, measured: str = "", bed: str = ""
    ) -> None:
        header = r"MSH|^~\&|Mindray|Gateway|||||ORU^R01|2|P|2.3.1|" if kind == "2" else ""
        whole = self._message(kind, segments, header)
        if self._strikes("no_last_cr"):
            whole = wire.without_last_cr(whole)
        if self._put(whole, now):
            self.sent += 1
            self.history.append(Reading(now, kind, MappingProxyType(dict(values)), measured, bed))

    def _configuration(self) -> list[bytes]:
        """The messages that come before anything is asked."""
        messages = [self._message("103", self._patient_segments(bed)) for bed in self.beds]
        for module, name in wire.MODULES.items():
            own = [p for p in wire.PARAMETER_TABLE.values() if p.module == module]
            segments = [wire.observation("CE", "2023^", "", f"{module}^{name}")]
            segments += [wire.observation("CE", "2025^", module, f"{p.code}^{self._name(p)}") for p in own]
            messages.append(self._message("11", segments))
        for code, limits in wire.LIMITS.items():
            for kind, limit in zip(("2002^", "2003^"), limits, strict=True):
                messages.append(self._message("51", [wire.observation("NM", kind, code, str(limit))]))
            messages.append(self._message("205", [wire.observation("CE", "2037^", code, "3^")]))
        return [*messages, self._message("58", [])]

    def _patient_segments(self, bed: _Bed) -> list[str]:
        names = PATIENTS[self._language]
        family, given = names[bed.number % len(names)]
        serial = f"{self.seed + bed.number * BED_SEED:08d}"
        return [
            f"PID|||00000000-0000-0000-0000-0000{serial[-8:]}||{family}^{given}||19610412|F|",
            f"PV1|||^^ICU&{bed.name}&{bed.ip}&{PORT}&&1|",
            wire.observation("NM", "52^", "", "170.0"),
            wire.observation("NM", "51^", "", "68.0"),
            wire.observation("ST", "2301^", "", f"MRN{serial}"),
            wire.observation("CE", "2302^", "", "0^N"),
            wire.observation("CE", "2303^", "", "2^"),
            wire.observation("ST", "2308^BedNoStr", "", bed.name),
        ]

    def _name(self, parameter: wire.Parameter) -> str:
        return parameter.other_name if self._other_names else parameter.name

    def _say_second(self, now: float) -> None:
        self._has_echoed = True
        if self._strikes("clock_step"):
            total = self._steps[-1][1] if self._steps else 0.0
            self._steps.append((now, total + self._dice.choice(CLOCK_STEPS_S)))
        if not self._strikes("mute_echo"):
            self._put(self._message(wire.ECHO, []), now)
        if len(self.beds) == 1:  # nothing in 54 and 56 names a bed
            self._say_alarms(now)
        for bed in self.beds:
            self._say_values(bed, now)

    def _say_values(self, bed: _Bed, now: float) -> None:
        """204 and 503, or the gateway's message 2."""
        values = bed.patient.values(now)
        codes = self._wanted(bed)
        periodic = [c for c in codes if not wire.PARAMETER_TABLE[c].is_aperiodic]
        aperiodic = [c for c in codes if wire.PARAMETER_TABLE[c].is_aperiodic]
        is_cuff_due = bool(aperiodic) and self._is_cuff_due(bed, now)
        if self._is_gateway:
            self._say_snapshot(bed, periodic, aperiodic if is_cuff_due else [], values, now)
            return
        if periodic:
            texts = {code: self._text(code, values) for code in periodic}
            self._say("204", [self._periodic(code, texts[code]) for code in periodic], texts, now)
        if is_cuff_due:
            texts, measured = self._cuff_texts(bed, aperiodic, now)
            segments = [self._aperiodic(code, text, measured) for code, text in texts.items()]
            self._say("503", segments, texts, now, measured)

    def _wanted(self, bed: _Bed) -> list[str]:
        """Parameters of the last query that this bed has, in the order of the query; all where none was needed."""
        if self._is_pushing and not self.conditions:
            return list(wire.PARAMETER_TABLE)
        codes: list[str] = []
        for condition in self.conditions:
            if condition.send_type != wire.PARAMETERS or condition.bed not in ("0&0", bed.key):
                continue
            codes += list(wire.PARAMETER_TABLE) if condition.is_all and self._all_works else condition.codes
        return [code for code in dict.fromkeys(codes) if code in wire.PARAMETER_TABLE]

    def _text(self, code: str, values: Mapping[str, float]) -> str:
        parameter = wire.PARAMETER_TABLE[code]
        value = values.get(parameter.quantity)
        if self._low_cvp and parameter.quantity == "cvp":
            value = -10.0
        if value is None:
            is_ten = self._missing == "-10" or (self._missing == "both" and self._rng.random() < 0.5)
            return f"{-10 if is_ten else -100:.{parameter.digits}f}"
        if self._is_fahrenheit and code in wire.TEMPERATURES:
            value = value * 1.8 + 32
        return f"{value:.{parameter.digits}f}"

    def _periodic(self, code: str, text: str) -> str:
        parameter = wire.PARAMETER_TABLE[code]
        tail = f"||{self._mark}" if self._mark else ""
        return wire.observation("NM", f"{code}^{self._name(parameter)}", parameter.module, text, tail)

    def _aperiodic(self, code: str, text: str, measured: str) -> str:
        parameter = wire.PARAMETER_TABLE[code]
        name = f"{code}^{self._name(parameter)}"
        return wire.observation("NM", name, parameter.module, text, f"||APERIODIC|{measured}")

    def _is_cuff_due(self, bed: _Bed, now: float) -> bool:
        """Whether the cuff's last measurement is new, or is to be repeated."""
        cuff = bed.patient.cuff(now)
        number = cuff.number if cuff else -1
        told, told_at = bed.cuff_told
        if number == told and (not self._repeat_s or now - told_at < self._repeat_s):
            return False
        bed.cuff_told = (number, now)
        return True

    def _cuff_texts(self, bed: _Bed, codes: list[str], now: float) -> tuple[dict[str, str], str]:
        cuff = bed.patient.cuff(now)
        values = {} if cuff is None else {f"cuff_{name}": value for name, value in cuff._asdict().items()}
        return {code: self._text(code, values) for code in codes}, self._stamp(cuff.at) if cuff else wire.NO_TIME

    def _say_snapshot(
        self, bed: _Bed, periodic: list[str], aperiodic: list[str], values: Mapping[str, float], now: float
    ) -> None:
        """The gateway's message 2: patient, place and values in one."""
        if not periodic and not aperiodic:
            return
        texts = {code: self._text(code, values) for code in periodic}
        cuff, measured = self._cuff_texts(bed, aperiodic, now)
        segments = [*self._patient_segments(bed)[:2], f"OBR|||||||{self._stamp(now)}|"]
        segments += [self._periodic(code, text) for code, text in texts.items()]
        segments += [self._aperiodic(code, text, measured) for code, text in cuff.items()]
        self._say("2", segments, texts | cuff, now, measured if cuff else "", bed.key)

    def _say_alarms(self, now: float) -> None:
        """54 and 56; without an OBX they clear what was active."""
        active = self.patient.alarms(now)
        since = self._stamp(self.patient.alarms_since(now) if self._tells_onset else now)
        for kind, is_technical in (("54", False), ("56", True)):
            segments, values = [], {}
            for name, level in active.items():
                if (name == SENSOR_OFF) is not is_technical:
                    continue
                text = ALARM_TEXTS[name][self._language]
                if not is_technical:
                    text = "*" * (4 - level) + text
                source, tail = ("", "") if is_technical else ("1", f"|||{since}|")
                segments.append(wire.observation("CE", str(level), source, f"{ALARM_CODES[name]}^{text}", tail))
                values[ALARM_CODES[name]] = f"{level} {text}"
            self._say(kind, segments, values, now)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        """MLLP has no checksum."""
        return frame
