"""A monitor gateway of some vendor that calls the box and sends `ORU^R01` over MLLP; each write waits for its ACKs.

    gateway   0B MSH|^~\\&|… ORU^R01 … <CR> PID|… <CR> PV1|… <CR> OBR|… <CR> OBX|… <CR> 1C 0D
    box       0B MSH|^~\\&|… ACK … <CR> MSA|AA|<control id> <CR> 1C 0D

Only what HL7 version 2 and MLLP say is taken for granted; the rest is what gateways are known to differ in:

    dialect   english   2.4, codes of the vendor's own, absent = `---`, alarms as text
              mdc       2.6, codes and units of IEEE 11073, absent = empty and status X, times with a zone
              french    2.5, French names, units and alarms, decimal commas, absent = `""`
    line_end  cr (what HL7 says) | lf | crlf;  last_end=no leaves the last segment without one
    batch     several messages in one write

Nothing but acknowledgements may be said to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from simulators.devices.pulse import Pulse
from simulators.devices.reporter import (
    CLOCK_FAULT,
    CLOCK_OPTION,
    REPORTER_OPTIONS,
    UNCHECKED_FAULTS,
    Reporter,
    Sent,
)
from simulators.devices.simulator import NO_OPTIONS, Option

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
LINE_ENDS: Mapping[str, str] = MappingProxyType({"cr": "\r", "lf": "\n", "crlf": "\r\n"})
CHARSETS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"utf-8": ("utf-8", "UNICODE UTF-8"), "latin-1": ("latin-1", "8859/1"), "unsaid": ("latin-1", "")}
)
"""Option → the encoding and what MSH-18 says."""
ACK_CODES = ("AA", "AE", "AR", "CA", "CE", "CR")
ACK_LIMIT_BYTES = 4096
TRIES = 3
IDS_KEPT = 256
CUFF_S = 300.0


class Metric(NamedTuple):
    """One quantity in the three dialects."""

    key: str
    english: str
    mdc: str
    unit: str
    mdc_unit: str
    french: str
    french_unit: str


PER_MINUTE, PERCENT, MMHG = "264864^MDC_DIM_BEAT_PER_MIN^MDC", "262688^MDC_DIM_PERCENT^MDC", "266016^MDC_DIM_MMHG^MDC"
BREATHS, CELSIUS = "264928^MDC_DIM_RESP_PER_MIN^MDC", "268192^MDC_DIM_DEGC^MDC"
METRICS = (
    Metric("HR", "Heart Rate", "147842^MDC_ECG_HEART_RATE^MDC", "/min", PER_MINUTE, "Fréquence cardiaque", "bpm"),
    Metric("SpO2", "SpO2", "150456^MDC_PULS_OXIM_SAT_O2^MDC", "%", PERCENT, "Saturation en oxygène", "%"),
    Metric("PR", "Pulse Rate", "149530^MDC_PULS_OXIM_PULS_RATE^MDC", "/min", PER_MINUTE, "Fréquence du pouls", "bpm"),
    Metric("RR", "Resp Rate", "151562^MDC_RESP_RATE^MDC", "/min", BREATHS, "Fréquence respiratoire", "c/min"),
    Metric("T", "Temperature", "150344^MDC_TEMP^MDC", "Cel", CELSIUS, "Température", "°C"),
    Metric("NBPs", "NIBP Sys", "150021^MDC_PRESS_BLD_NONINV_SYS^MDC", "mmHg", MMHG, "PNI systolique", "mmHg"),
    Metric("NBPd", "NIBP Dia", "150022^MDC_PRESS_BLD_NONINV_DIA^MDC", "mmHg", MMHG, "PNI diastolique", "mmHg"),
    Metric("NBPm", "NIBP Mean", "150023^MDC_PRESS_BLD_NONINV_MEAN^MDC", "mmHg", MMHG, "PNI moyenne", "mmHg"),
)
CUFF = frozenset({"NBPs", "NBPd", "NBPm"})
OXIMETRY = frozenset({"SpO2", "PR"})
ABSENT = {"english": "---", "mdc": "", "french": '""'}
VERSIONS = {"english": "2.4", "mdc": "2.6", "french": "2.5"}
ALARMS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "desaturation": ("L", "** SpO2 LOW", "** SpO2 basse"),
        "fast_pulse": ("H", "** PULSE HIGH", "** Pouls élevé"),
        "slow_pulse": ("L", "** PULSE LOW", "** Pouls bas"),
        "sensor_off": ("", "SpO2 SENSOR OFF", "Capteur SpO2 débranché"),
        "no_sensor": ("", "SpO2 NO SENSOR", "Pas de capteur SpO2 \\T\\ câble"),
    }
)
"""What happens → abnormal flag, text, French text (with an escaped ampersand)."""


def wrapped(text: str, encoding: str = "utf-8") -> bytes:
    """A message in its MLLP block."""
    return VT + text.encode(encoding) + FS + CR


class _Pending(NamedTuple):
    control_ids: tuple[str, ...]
    data: bytes
    tries: int


class Hl7Monitor(Reporter):
    """The gateway's side; it calls the box (`connect_tcp`)."""

    NAME: ClassVar[str] = "hl7_monitor"
    DESCRIPTION: ClassVar[str] = "Patient monitors behind an HL7 gateway: ORU^R01 over MLLP, connects to the box"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType({**UNCHECKED_FAULTS, **CLOCK_FAULT})
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **REPORTER_OPTIONS,
            **CLOCK_OPTION,
            "dialect": Option("english", "english | mdc | french"),
            "charset": Option("utf-8", "utf-8 | latin-1 | unsaid (latin-1, and MSH-18 is empty)"),
            "line_end": Option("cr", "cr | lf | crlf: what ends a segment"),
            "last_end": Option("yes", "no: the last segment of a message has no end"),
            "period_s": Option("5", "seconds between two writes"),
            "batch": Option("1", "messages in a write, 1 to 20: as many beds"),
            "heartbeat_s": Option("30", "seconds between two messages without a result; 0 = none"),
            "ack_s": Option("10", "seconds to wait for ACKs before the same is sent again, three times; 0 = no wait"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.acks = 0
        """Messages that were accepted (AA or CA)."""
        self.refused = 0
        """Messages that were refused (AE, AR, CE, CR)."""
        self.unknown_acks = 0
        """ACKs of a control id that was never sent, after a fault may have changed one."""
        self.resends = 0
        self.given_up = 0
        """Messages that were never acknowledged."""
        self.waited = 0
        """Writes that did not take place because ACKs were missing."""
        self.heartbeats = 0
        self._dialect = self.choice("dialect", tuple(VERSIONS))
        self._encoding, self._charset = CHARSETS[self.choice("charset", tuple(CHARSETS))]
        self._end = LINE_ENDS[self.choice("line_end", tuple(LINE_ENDS))]
        self._has_last_end = self.choice("last_end", ("yes", "no")) == "yes"
        self._batch = int(self.seconds("batch"))
        if not 1 <= self._batch <= 20:
            raise ValueError(f"{self.NAME}: option batch = {self.options['batch']!r}; expected 1 to 20")
        self._ack_s = self.seconds("ack_s")
        self._period_s = max(0.1, self.seconds("period_s"))
        self._heartbeat_s = self.seconds("heartbeat_s")
        self._messages = 0
        self._pending: _Pending | None = None
        self._ids: deque[str] = deque(maxlen=IDS_KEPT)
        self._heard = bytearray()
        self._is_lost = False

    # -- the link --------------------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """A new TCP connection: what was not acknowledged is sent again at the next turn."""
        super().connected(now)
        self._heard.clear()
        self._is_lost = False
        if self._pending:
            self._repeat("ack", self._ack_s, now + 0.1)

    def _power_up(self, now: float) -> None:
        self._heard.clear()
        self._pending = None
        self._repeat("report", self._period_s, now + 1.0)
        if self._heartbeat_s:
            self._repeat("heartbeat", self._heartbeat_s, now + self._heartbeat_s)

    def _thaw(self, now: float) -> None:
        self._heard.clear()
        self._is_lost = True
        super()._thaw(now)

    def _turn(self, name: str, now: float) -> None:
        if name == "ack":
            self._resend(now)
        elif not self._is_linked:
            return
        elif self._pending:
            self.waited += 1
        elif name == "heartbeat":
            self.heartbeats += 1
            control_id = self._next_id()
            self._send((control_id,), wrapped(self._message(control_id, [], now), self._encoding), now)
        else:
            self._report(now)

    def _send(self, control_ids: tuple[str, ...], data: bytes, now: float, tries: int = 1) -> bool:
        """Whether it left the device undamaged."""
        if self._ack_s:
            self._pending = _Pending(control_ids, data, tries)
            self._repeat("ack", self._ack_s, now + self._ack_s)
        return bool(self._say(data, now).good)

    def _resend(self, now: float) -> None:
        self._cease("ack")
        pending, self._pending = self._pending, None
        if pending is None:
            return
        if pending.tries >= TRIES:
            self.given_up += len(pending.control_ids)
            return
        self.resends += 1
        self._send(pending.control_ids, pending.data, now, pending.tries + 1)

    # -- the box ---------------------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        self._heard += data
        while self._heard:
            start = self._heard.find(VT)
            if start:
                noise = bytes(self._heard if start < 0 else self._heard[:start])
                del self._heard[: len(noise)]
                if not self._is_lost:
                    self.illegal.append(noise)
                continue
            self._is_lost = False
            end = self._heard.find(FS + CR)
            if end < 0:
                if len(self._heard) > ACK_LIMIT_BYTES:
                    self.illegal.append(bytes(self._heard))
                    self._heard.clear()
                return
            block = bytes(self._heard[1:end])
            del self._heard[: end + 2]
            self._take(block)

    def _take(self, block: bytes) -> None:
        """Judge a whole message of the box: an acknowledgement, or something that may not be said."""
        segments = [segment.split(b"|") for segment in block.split(CR) if segment]
        heads = [segment for segment in segments if segment[0] == b"MSH" and len(segment) > 11]
        verdicts = [segment for segment in segments if segment[0] == b"MSA" and len(segment) > 2]
        is_ack = len(heads) == len(verdicts) == 1 and segments[0] is heads[0] and heads[0][8][:3] == b"ACK"
        code, control_id = (
            (verdicts[0][1].decode("latin-1"), verdicts[0][2].decode("latin-1")) if is_ack else ("", "")
        )
        if code not in ACK_CODES:
            self.illegal.append(block)
        elif control_id not in self._ids:
            if self.injected:
                self.unknown_acks += 1
            else:
                self.illegal.append(block)
        else:
            self.acks += code in ("AA", "CA")
            self.refused += code not in ("AA", "CA")
            self._settle(control_id)

    def _settle(self, control_id: str) -> None:
        if self._pending is None or control_id not in self._pending.control_ids:
            return
        left = tuple(waiting for waiting in self._pending.control_ids if waiting != control_id)
        self._pending = self._pending._replace(control_ids=left) if left else None
        if self._pending is None:
            self._cease("ack")

    # -- the messages ----------------------------------------------------------------------------------------------

    def _next_id(self) -> str:
        self._messages += 1
        control_id = f"{self.seed % 1000:03d}{self._messages:07d}"
        self._ids.append(control_id)
        return control_id

    def _report(self, now: float) -> None:
        """One message for each bed, all in one write."""
        data, notes = b"", []
        for bed in range(self._batch):
            control_id = self._next_id()
            # Each bed lives a little earlier than the one before it, so that no two say the same.
            pulse = self._patient.at(max(self._started_at or 0.0, now - bed * 61))
            values = self._values(pulse, now)
            body = [*self._patient_segments(bed, now), *self._results(values, pulse, now)]
            data += wrapped(self._message(control_id, body, now), self._encoding)
            notes.append(Sent(now, control_id, MappingProxyType(values)))
        if self._send(tuple(note.kind for note in notes), data, now):
            self.sent += len(notes)
            self.history.extend(notes)

    def _stamp(self, time: datetime) -> str:
        return f"{time:%Y%m%d%H%M%S}" + ("+0100" if self._dialect == "mdc" else "")

    def _message(self, control_id: str, body: list[str], now: float) -> str:
        time = self._stamp(self._clock(now))
        head = f"MSH|^~\\&|GATEWAY|HOSPITAL|||{time}||ORU^R01|{control_id}|P|{VERSIONS[self._dialect]}"
        if self._charset:
            head += "||||||" + self._charset
        return self._end.join([head, *body]) + (self._end if self._has_last_end else "")

    def _patient_segments(self, bed: int, now: float) -> list[str]:
        name = "BENZÉMA^Zoé \\T\\ Inès" if self._dialect == "french" else "DOE^JOHN"
        time = self._stamp(self._clock(now))
        return [
            f"PID|1||{4711 + bed}^^^HOSPITAL||{name}||19700101|F",
            f"PV1|1|I|ICU^^BED {bed + 1}",
            f"OBR|1|||VITAL^Vital signs^L|||{time}",
        ]

    def _values(self, pulse: Pulse, now: float) -> dict[str, str]:
        """Key → text in the dialect's own way of writing; the cuff repeats its last measurement."""
        cuff = self._patient.at((self._started_at or 0.0) + self._cuff_age(now)[1])
        systolic, diastolic = 118 + cuff.rate % 9, 72 + cuff.saturation % 5
        texts = {
            "HR": str(pulse.rate),
            "SpO2": str(pulse.saturation),
            "PR": str(pulse.rate),
            "RR": str(12 + pulse.rate % 7),
            "T": f"{36.5 + pulse.saturation % 4 / 10:.1f}",
            "NBPs": str(systolic),
            "NBPd": str(diastolic),
            "NBPm": str((systolic + 2 * diastolic) // 3),
        }
        if self._dialect == "french":
            texts = {key: text.replace(".", ",") for key, text in texts.items()}
        if not pulse.has_signal:
            texts |= dict.fromkeys(OXIMETRY, ABSENT[self._dialect])
        return texts

    def _cuff_age(self, now: float) -> tuple[float, float]:
        """Seconds since the last measurement of the cuff, and when it was, counted from the start."""
        t = now - (self._started_at or 0.0)
        return t % CUFF_S, t - t % CUFF_S

    def _results(self, values: Mapping[str, str], pulse: Pulse, now: float) -> list[str]:
        segments = []
        flag, *texts = ALARMS.get(pulse.episode, ("", "", ""))
        is_french = self._dialect == "french"
        for number, metric in enumerate(METRICS, 1):
            text = values[metric.key]
            is_absent = text == ABSENT[self._dialect]
            kind = "ST" if is_french and "," in text or is_absent and self._dialect == "english" else "NM"
            code = f"{metric.key}^{metric.french if is_french else metric.english}^99GATE"
            place, unit = "", metric.french_unit if is_french else metric.unit
            if self._dialect == "mdc":
                code, place, unit = metric.mdc, f"1.0.0.{number}", metric.mdc_unit
            is_struck = flag and metric.key in (("SpO2",) if pulse.episode == "desaturation" else ("HR", "PR"))
            abnormal = flag if is_struck else ""
            status = "X" if is_absent and self._dialect != "english" else "R" if self._dialect == "mdc" else "F"
            age_s = self._cuff_age(now)[0] if metric.key in CUFF else 0.0
            time = self._stamp(self._clock(now) - timedelta(seconds=age_s))
            segments.append(f"OBX|{number}|{kind}|{code}|{place}|{text}|{unit}||{abnormal}|||{status}|||{time}")
        if texts[is_french] and self._dialect != "mdc":
            title = "ALARME^Alarme" if is_french else "ALARM^Alarm"
            time = self._stamp(self._clock(now))
            segments.append(f"OBX|{len(METRICS) + 1}|ST|{title}^99GATE||{texts[is_french]}||||||F|||{time}")
        return segments
