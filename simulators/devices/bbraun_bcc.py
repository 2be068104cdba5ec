r"""A B.Braun Space or Compact plus pump rack behind its ComDevice, speaking BCC (interface specification 3.25/3.26).

    01  length  02  bedId/1/1>information  03 last | 17 more follow  checksum  04

Length and checksum are five decimal digits: the whole frame, and the sum from 01 to 03 or 17 modulo 256, both before
stuffing. Stuffing, when the ComDevice is set to it: `D` is sent as `EX`, `E` as `EE`, `d` as `ex`, `e` as `ee`.

    box                                  ComDevice
    1/1/1>ADMIN:ALIVE          ──▶
                               ◀──  SpaceCOM/1/1>206,50100,GNACK,0
    SpaceCOM/1/1>MEM:GET       ──▶
                               ◀──  the first pump, ended by 17
    06, not before 0.1 s       ──▶
                               ◀──  the next pump … the last one, ended by 03
    06                         ──▶
    MEM:GET, not before 0.5 s  ──▶

15 instead of 06 has the same block sent again; a MEM:GET instead of 06 begins again with the first pump.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Option, Simulator

SOH, STX, LAST, EOT, ACK, NAK, MORE = 0x01, 0x02, 0x03, 0x04, 0x06, 0x15, 0x17
SEPARATOR = "\x1e"
SLOTS = "123456789ABCDEFGHIJKLMNO"
"""The slots of a pillar, bottom-up. The D of the address 5011D is stuffed like any other."""
SYSTEM = "50100"
PUMPS_LIMIT = 24
REQUEST_LIMIT_BYTES = 256
ACK_AFTER_S = 0.1
GET_AFTER_S = 0.5
NO_TIME_LEFT = 65535
NO_VALUE_IS_NA_FROM = (3, 36)
ERROR_CODE = "1"
"""The document's list of GNERR codes was not seen: one number stands for all of them."""
BLOCKS_KEPT = 10_000
ALARM_LASTS_S = 15.0
UNPLUGGED_S = 30.0

STUFFING: Mapping[int, bytes] = MappingProxyType({0x44: b"EX", 0x45: b"EE", 0x64: b"ex", 0x65: b"ee"})
MODEL = "688K030006"
DRUGS = ("DOBUTAMINE", "Midazolam", "Noradrénaline", "Propofol \ue021", "NaCl", "Sufentanil")
"""U+E000 and above are signs of the pump's own font."""
STOPPING_ALARMS = ("INA3", "INA15", "INA14", "INA9", "INA1")
ALARMS = ("INA1", "INA2", "INA3", "INA5", "INA7", "INA8", "INA9", "INA11", "INA12", "INA14", "INA15", "INA16")
PRE_ALARMS = frozenset({"INA11", "INA12"})


def frame(bed: str, information: str, is_last: bool = True) -> bytes:
    """A frame as it is counted, without stuffing."""
    body = b"\x02" + f"{bed}/1/1>{information}".encode() + bytes([LAST if is_last else MORE])
    head = b"\x01%05d" % (len(body) + 12) + body
    return head + b"%05d\x04" % (sum(head) % 256)


def stuffed(data: bytes) -> bytes:
    """The bytes as they leave a ComDevice that stuffs."""
    return b"".join(STUFFING.get(byte, bytes([byte])) for byte in data)


def unstuffed(data: bytes) -> bytes | None:
    """The bytes a stuffing box meant; None when an escape stands before anything but X, E, x or e."""
    out = bytearray()
    place = 0
    while place < len(data):
        byte = data[place]
        if byte in b"Ee":
            meant = next((key for key, pair in STUFFING.items() if pair == data[place : place + 2]), None)
            if meant is None:
                return None
            out.append(meant)
            place += 2
        elif byte in b"Dd":
            return None
        else:
            out.append(byte)
            place += 1
    return bytes(out)


class Infusion(NamedTuple):
    """What a pump does at one moment."""

    phase: Literal["off", "standby", "stopped", "running", "kvo", "ended"]
    rate: float
    infused_ml: float
    target_ml: float
    seconds_left: int
    has_bolus: bool
    alarms: frozenset[str]


class Pump:
    """One pump: off, standby, ready, running with a bolus and an alarm, KVO, ended; then a new syringe."""

    def __init__(self, seed: int, index: int, start: float, cycle_s: float) -> None:
        self.slot = f"1{SLOTS[index]}"
        self.address = f"501{self.slot}"
        self.serial = f"{100000 + seed % 1000 * 100 + index}"
        self.is_syringe = index % 2 == 0
        self._seed = seed * 1009 + index
        self._cycle_s = max(cycle_s, 60.0)
        # The first pump is found at the beginning of its infusion, the others anywhere.
        self._start = start - self._cycle_s * (0.13 + 0.37 * index)

    def at(self, now: float) -> Infusion:
        """What it does at `now`."""
        cycle, since = divmod(now - self._start, self._cycle_s)
        dice = Random(self._seed * 1_000_003 + int(cycle))  # noqa: S311
        rate = round(dice.choice((0.4, 2.5, 5.0, 21.0, 125.0)) * dice.uniform(0.8, 1.2), 2)
        bolus_ml = dice.choice((0.0, 1.0, 2.0))
        alarm = dice.choice(STOPPING_ALARMS)
        share = since / self._cycle_s
        run_s = 0.73 * self._cycle_s - ALARM_LASTS_S
        target = rate * run_s / 3600 + bolus_ml
        if share < 0.12:
            phase: Literal["off", "standby", "stopped"] = (
                "off" if share < 0.03 else "standby" if share < 0.08 else "stopped"
            )
            return Infusion(phase, rate, 0.0, target, NO_TIME_LEFT, False, frozenset())
        if share < 0.85:
            return self._running(since, rate, bolus_ml, target, run_s, alarm)
        kvo_s = since - 0.85 * self._cycle_s
        if share < 0.95:
            ended = frozenset({"INA7"} if kvo_s < ALARM_LASTS_S else ())
            return Infusion("kvo", 1.0, target + kvo_s / 3600, target, NO_TIME_LEFT, False, ended)
        infused = target + 0.1 * self._cycle_s / 3600
        return Infusion("ended", rate, infused, target, NO_TIME_LEFT, False, frozenset({"INA16"}))

    def _running(
        self, since: float, rate: float, bolus_ml: float, target: float, run_s: float, alarm: str
    ) -> Infusion:
        ran_s = since - 0.12 * self._cycle_s
        held_s = since - 0.5 * self._cycle_s
        if held_s > 0:
            ran_s -= min(held_s, ALARM_LASTS_S)
        bolus_share = min(1.0, max(0.0, (since / self._cycle_s - 0.30) / 0.02))
        infused = rate * ran_s / 3600 + bolus_ml * bolus_share
        if 0 <= held_s < ALARM_LASTS_S:
            return Infusion("stopped", rate, infused, target, NO_TIME_LEFT, False, frozenset({alarm}))
        alarms = frozenset({"INA12"} if since > 0.8 * self._cycle_s and self.is_syringe else ())
        has_bolus = bolus_ml > 0 and 0 < bolus_share < 1
        return Infusion("running", rate, infused, target, max(0, round(run_s - ran_s)), has_bolus, alarms)

    def values(self, now: float, none: str) -> dict[str, str]:
        """Parameter → text; `none` where there is no value."""
        state = self.at(now)
        is_on = state.phase != "off"
        is_set = is_on and state.phase != "standby"
        drug = DRUGS[self._seed % len(DRUGS)]
        texts = {
            "GNMODEL": MODEL,
            "INSERNUM": self.serial,
            "DSSTATUS": "00051" if is_on else "00050",
            "INSOL": drug if is_on else none,
            "INSYR": "50" if self.is_syringe and is_on else none,
            # The rate that is set, also while nothing runs: INM3 tells whether it flows.
            "INRT": f"{state.rate:.2f}" if is_set else none,
            "INVI": f"{state.infused_ml:.1f}" if is_on else none,
            "INVTB": f"{state.target_ml:.1f}" if is_set else none,
            "INVOLACT": f"{max(0.0, 50 - state.infused_ml):.1f}" if self.is_syringe and is_on else none,
            "INRMT": str(state.seconds_left) if is_on else none,
            "INDORT": none,
            "INDORTU": none,
            "INP1": "5" if is_on else none,
            "INP2": str(20 + self._seed % 30) if state.phase == "running" else none,
            "INAKKU": "480" if is_on else none,
            "INBORT": "200.00" if state.has_bolus else none,
            "INSTBY": "30" if state.phase == "standby" else none,
        }
        return texts | _flags(state)


def _flags(state: Infusion) -> dict[str, str]:
    """Flags and alarms as 0 or 1, RUNSTATE as the decimal number of its bits."""
    is_on = state.phase != "off"
    flags = {
        "INM1": state.phase == "stopped" and not state.alarms,
        "INM2": state.has_bolus,
        "INM3": state.phase in ("running", "kvo"),
        "INM6": state.phase == "standby",
        "INM8": is_on,
        "INM10": state.phase == "kvo",
    } | {alarm: alarm in state.alarms for alarm in ALARMS}
    bits = (
        state.phase in ("stopped", "ended"),
        state.phase in ("running", "kvo"),
        bool(state.alarms - PRE_ALARMS),
        state.phase == "kvo",
        False,
        bool(state.alarms & PRE_ALARMS),
    )
    run_state = sum(1 << bit for bit, is_set in enumerate(bits) if is_set)
    return {name: str(int(value)) for name, value in flags.items()} | {"RUNSTATE": str(run_state)}


class Block(NamedTuple):
    """An undamaged block of a pump that went out."""

    at: float
    address: str
    values: Mapping[str, str]
    is_last: bool


class _Reply(NamedTuple):
    at: float
    data: bytes
    block: Block | None = None


class BbraunBcc(Simulator):
    """The ComDevice's side of BCC; over a serial line or as a TCP server (port 4001)."""

    NAME: ClassVar[str] = "bbraun_bcc"
    DESCRIPTION: ClassVar[str] = "B.Braun Space / Compact plus infusion pumps, BCC, serial or TCP"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **COMMON_FAULTS,
            "gnerr": "an error (GNERR) instead of the answer",
            "lost_ack": "an ACK of the box is not heard: the next pump does not come",
        }
    )
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "stuffing": Option("no", "yes: character stuffing is on, in both directions"),
            "bed_id": Option("SpaceCOM", "the bedId that answers carry and requests must carry"),
            "pumps": Option("3", "pumps in the rack, 1 to 24"),
            "version": Option("3.30", "protocol version; from 3.36 on a missing value is _NA instead of _NV"),
            "patient": Option("no", "yes: each pump also sends PATID"),
            "cycle_s": Option("600", "seconds from one syringe to the next, at least 60"),
            "unplug_every_s": Option("0", "a pump leaves the rack for 30 seconds this often; 0 = never"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent = 0
        """Good blocks of pumps that left the device undamaged."""
        self.history: deque[Block] = deque(maxlen=BLOCKS_KEPT)
        self.requests: Counter[str] = Counter()
        """How often each request came; GETSLOT without its slot."""
        self.hasty: list[bytes] = []
        """What the box sent before the waiting times of the document were over."""
        self.is_known = False
        """ALIVE was heard since the link began."""
        self.premature = 0
        """Requests before ALIVE."""
        self.restarts = 0
        """MEM:GET while blocks of the last one were still waiting for their ACK."""
        self.resends = 0
        self.unexpected = 0
        """ACK or NAK that answered nothing."""
        self._stuffs = self.choice("stuffing", ("yes", "no")) == "yes"
        self._has_patient = self.choice("patient", ("yes", "no")) == "yes"
        self._bed = self.options["bed_id"]
        if not re.fullmatch(r"[!-.0-=?-~]+", self._bed):
            raise ValueError(f"{self.NAME}: option bed_id = {self._bed!r} must be printable, without / and >")
        version = re.fullmatch(r"(\d{1,2})\.(\d\d)", self.options["version"])
        if version is None:
            raise ValueError(f"{self.NAME}: option version = {self.options['version']!r}; expected for example 3.30")
        self._none = "_NA" if (int(version[1]), int(version[2])) >= NO_VALUE_IS_NA_FROM else "_NV"
        self._pump_count = int(self.seconds("pumps"))
        if not 1 <= self._pump_count <= PUMPS_LIMIT:
            raise ValueError(f"{self.NAME}: option pumps = {self.options['pumps']!r}; expected 1 to {PUMPS_LIMIT}")
        self._cycle_s = self.seconds("cycle_s")
        self._unplug_every_s = self.seconds("unplug_every_s")
        self._pumps: list[Pump] = []
        self._powered_at = 0.0
        self._forget()

    def _forget(self) -> None:
        """What the end of a link clears."""
        self.is_known = False
        self._heard = bytearray()
        self._is_lost = False
        self._waiting: list[Pump] = []
        self._reply: _Reply | None = None
        self._unacked: _Reply | None = None
        self._left_at = -GET_AFTER_S

    # -- the clock -------------------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """A new TCP connection: the box has to say ALIVE again."""
        super().connected(now)
        self._forget()

    def disconnected(self, now: float) -> None:
        """The TCP connection is gone."""
        super().disconnected(now)
        self._forget()

    def _start(self, now: float) -> None:
        self._powered_at = now
        self._left_at = now - GET_AFTER_S
        self._pumps = [Pump(self.seed, index, now, self._cycle_s) for index in range(self._pump_count)]

    def _thaw(self, now: float) -> None:
        self._heard.clear()
        self._is_lost = True
        self._reply = None
        self._left_at = now - GET_AFTER_S

    def _reboot(self, now: float) -> None:
        """The ComDevice restarts; the pumps go on."""
        self._powered_at = now
        self._forget()

    def _due(self) -> float | None:
        return self._reply.at if self._reply else None

    def _tick(self, now: float) -> None:
        reply, self._reply = self._reply, None
        if reply is None:
            return
        self._unacked, self._left_at = reply, now
        emission = self._emit(reply.data, now)
        if emission.fault == "reboot":
            self._unacked = None
        if emission.good and reply.block:
            self.sent += 1
            self.history.append(reply.block._replace(at=now))

    # -- what the box says -----------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        for byte in data:
            if byte == SOH:
                if self._heard:
                    self.illegal.append(bytes(self._heard))
                self._is_lost = False
                self._heard = bytearray([byte])
            elif self._heard:
                self._heard.append(byte)
                if byte == EOT:
                    whole, self._heard = bytes(self._heard), bytearray()
                    self._take(whole, now)
                elif len(self._heard) >= REQUEST_LIMIT_BYTES:
                    self.illegal.append(bytes(self._heard))
                    self._heard.clear()
            elif byte in (ACK, NAK):
                self._judge_block(byte, now)
            elif not self._is_lost:
                self.illegal.append(bytes([byte]))

    def _judge_block(self, byte: int, now: float) -> None:
        """ACK: the next pump; NAK: the same block again."""
        block = self._unacked
        if block is None or self._reply:
            self.unexpected += 1
            return
        if now < self._left_at + ACK_AFTER_S:
            self.hasty.append(bytes([byte]))
        if byte == NAK:
            self.resends += 1
            self._reply = block._replace(at=self._answer_at(now))
        elif not self._strikes("lost_ack"):
            self._unacked = None
            if self._waiting:
                self._send_next_pump(now)

    def _take(self, raw: bytes, now: float) -> None:
        """A whole frame of the box."""
        whole = unstuffed(raw) if self._stuffs else raw
        parts = re.fullmatch(rb"\x01(\d{5})\x02([^/>]+)/1/1>([ -~]+)\x03(\d{5})\x04", whole or b"", re.DOTALL)
        if whole is None or parts is None or int(parts[1]) != len(whole) or int(parts[4]) != sum(whole[:-6]) % 256:
            self.illegal.append(raw)
            self._say("GNERR," + ERROR_CODE, now)
            return
        bed, request = parts[2].decode("latin-1"), parts[3].decode("ascii")
        name = request.partition("#")[0]
        self.requests[name] += 1
        if name not in ("ADMIN:ALIVE", "ADMIN:VERSION", "MEM:GET", "MEM:GETSLOT"):
            self.illegal.append(raw)
            self._say("GNERR," + ERROR_CODE, now)
            return
        if request == "ADMIN:ALIVE" and bed == "1":
            self.is_known = True
            self._say("GNACK,0", now)
        elif not self.is_known:
            self.premature += 1
            self._say("GNERR," + ERROR_CODE, now)
        elif bed != self._bed:
            self.illegal.append(raw)
            self._say("GNERR," + ERROR_CODE, now)
        else:
            self._obey(request, raw, now)

    def _obey(self, request: str, raw: bytes, now: float) -> None:
        plugged = self._plugged(now)
        slot = re.fullmatch(r"MEM:GETSLOT#([1-3][1-9A-O])", request)
        if request == "ADMIN:VERSION":
            self._say("V" + self.options["version"], now)
        elif request == "MEM:GET":
            if now < self._left_at + GET_AFTER_S:
                self.hasty.append(raw)
            if self._strikes("gnerr"):
                self._say("GNERR," + ERROR_CODE, now)
                return
            self.restarts += bool(self._waiting)
            self._waiting = plugged
            self._send_next_pump(now)
        elif slot:
            self._waiting = [pump for pump in plugged if pump.slot == slot[1]]
            if self._waiting:
                self._send_next_pump(now)
            else:
                self._say("GNERR," + ERROR_CODE, now)
        else:
            self.illegal.append(raw)
            self._say("GNERR," + ERROR_CODE, now)

    # -- what the ComDevice answers --------------------------------------------------------------------------------

    def _answer_at(self, now: float) -> float:
        return now + self._rng.uniform(0.02, 0.08)

    def _wire(self, information: str, is_last: bool = True) -> bytes:
        whole = frame(self._bed, information, is_last)
        return stuffed(whole) if self._stuffs else whole

    def _say(self, words: str, now: float) -> None:
        """A short answer of the ComDevice itself; what was under way is forgotten."""
        self._waiting = []
        self._unacked = None
        data = self._wire(f"{int(now - self._powered_at)},{SYSTEM},{words}")
        self._reply = _Reply(self._answer_at(now), data)

    def _send_next_pump(self, now: float) -> None:
        pump = self._waiting.pop(0)
        self._unacked = None
        values = pump.values(now, self._none)
        if self._has_patient:
            values["PATID"] = f"P{4711 + int(pump.serial)}"
        time = int(now - self._powered_at)
        quadruples = (f"{time},{pump.address},{name},{text}" for name, text in values.items())
        is_last = not self._waiting
        data = self._wire(SEPARATOR.join(quadruples), is_last)
        self._reply = _Reply(self._answer_at(now), data, Block(now, pump.address, MappingProxyType(values), is_last))

    def _plugged(self, now: float) -> list[Pump]:
        """The pumps in the rack; the first one always stays, for what an empty rack says is not known."""
        if not self._unplug_every_s or self._pump_count == 1 or not self._pumps:
            return list(self._pumps)
        episode, since = divmod(now - self._born_at, self._unplug_every_s)
        if episode < 1 or since >= UNPLUGGED_S:
            return list(self._pumps)
        away = Random(self.seed * 1_000_003 + int(episode)).randrange(1, self._pump_count)  # noqa: S311
        return [pump for index, pump in enumerate(self._pumps) if index != away]

    @property
    def _born_at(self) -> float:
        return self._started_at or 0.0

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        damaged = bytearray(frame)
        damaged[-2] = 0x30 + (damaged[-2] - 0x30 + 1) % 10
        return bytes(damaged)
