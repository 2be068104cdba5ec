"""The engine of the SERVO family: set-up, polls and stream of one device, whatever its dialect (CIE, SCI).

    hello ─▶ identity ─▶ versions ─▶ serial, clock ─▶ configuration of each channel ─▶ tables ─▶ polls (─▶ stream)

Maquet, CIE reference manual 65 43 388_12; Getinge, SCI reference manual 68 80 036_14. Only questions that read are
asked. The tables live in the interface, not in the ventilator; RCTY empties them.
"""

from collections.abc import Callable
from typing import ClassVar

import msgspec

from drivers.asking import Manners, Question
from drivers.contract import Fault, Output
from drivers.conversation import Asking
from drivers.framing.servo import (
    BLOCKS,
    ESC,
    HELLO,
    TEXT,
    Block,
    Curves,
    DamagedCurves,
    Demultiplexer,
    DeviceError,
    Item,
    Text,
    Values,
)
from drivers.mds import Operating
from drivers.observation import Enumeration, Numeric
from drivers.profile import Profile
from drivers.servo_cie.curves import CurveStream
from drivers.servo_cie.dialect import Dialect, question
from drivers.servo_cie.options import ServoOptions
from drivers.servo_cie.records import parse_clock, parse_config, parse_identity, parse_serial, parse_version
from drivers.servo_cie.tables import VALUES, Alarms, Tables

PATIENCE_S = 2.0
"""The first character of an answer comes within 0.5 s; each further byte gives the rest as long again."""
IDLE_S = 2.0
"""Bytes of an unfinished frame, or samples of a curve, wait no longer for what follows."""
STREAM_S = 5.0
"""A stream without one verified block for so long is lost."""
STREAM_AGAIN_S = 5.0
"""A stream that the device ended (standby, buffer full) is asked for again no sooner."""
WRONG_DEVICE_S, NOTHING_DEFINED_S = 10.0, 60.0
"""A device that is not the profile's is only asked who it is; one that took no table gets another set-up."""
PER_MINUTE = 174
"""Most questions within a minute: a set-up of a hundred, and the polls of the rest of that minute."""
SETUPS_S = (3.0, 120.0)
"""Rests before the set-up is made anew with a device that answers it: once soon, then each two minutes."""

NOT_VALID, SYNTAX, RANGE, NOT_CONFIGURED, STANDBY, CHECKSUM, STOPPED = 10, 11, 12, 16, 17, 18, 20
_NEVER = (NOT_VALID, SYNTAX, RANGE)
"""Errors that asking again does not mend."""


class ServoEngine(Asking):
    """One SERVO. A dialect's driver adds name, options and dialect."""

    dialect: ClassVar[Dialect]

    def __init__(self, profile: Profile, options: ServoOptions) -> None:
        super().__init__(profile, Manners(PATIENCE_S, quiet_s=PATIENCE_S, per_minute=PER_MINUTE), self.dialect.hello)
        self._options = options
        self._demultiplexer = Demultiplexer(
            alarms_in_pairs=self.dialect.is_binary, has_flow_control=self.dialect.has_flow_control
        )
        self._tables = Tables(profile, options, in_pairs=self.dialect.is_binary)
        self._curves = CurveStream()
        self._last_byte = self._rest_until = 0.0
        self._restarts = 0
        self._known: dict[str, Numeric | Enumeration] = {}
        """The last word about each channel, so that it can be taken back."""
        self._forget()
        self._readers: dict[str, Callable[[str], bool]] = {
            "HO": lambda text: text == HELLO.decode(),
            "RPTY": lambda text: text[:3] == "SCI" and len(text) == 4,
            "RCTY": self._read_identity,
            "RCFG": self._read_model,
            "RHVE": self._read_version,
            "SPVE": self._read_selected,
            "RSEN": self._read_serial,
            "RTIM": self._read_clock,
            "RCCO": self._read_config,
            "SDAD": self._read_defined,
            "RADA": self._read_polled,
        }

    def _forget(self) -> None:
        """Nothing is known of the device's configuration."""
        self._version = 1
        self._is_streaming = False
        self._identity: dict[str, str] = {}
        self._tables.forget()
        self._curves.configure((), 0)

    # The contract.

    def start(self, now: float) -> Output:
        """Forget what was half received; stop what a former session may have left running, and say hello."""
        self._last_byte = self._rest_until = now
        self._restarts = 0
        self._demultiplexer.drop()
        return super().start(now)

    def _receive(self, data: bytes) -> None:
        """Whole frames are read, and the next question follows an answer at once."""
        if data:
            self._last_byte = self._now
            self._asker.extend(self._now)
            self._demultiplexer.add(data)
        while (item := self._demultiplexer.take(self._awaited())) is not None:
            self._take(item)
            self._ask()

    def wake(self, now: float) -> Output:
        """Polls and time-outs."""
        self._now = now
        if self._demultiplexer.is_inside and now >= self._last_byte + IDLE_S:
            self._faults += self._demultiplexer.drop()
        if self._curves.has_samples and now >= self._last_byte + IDLE_S:
            self._flush()
        if self._is_streaming and now >= self._last_frame + STREAM_S:
            self._faults.append(Fault("timeout", "stream"))
            self._end_stream()
            self._asker.say(ESC, now)
            self._asker.restart(now)
        return super().wake(now)

    def _leave(self) -> None:
        """ESC ends the stream and any other output."""
        if self._asker.has_spoken:
            self._asker.say(ESC, self._now)
        self._end_stream()

    def _ask(self) -> None:
        """The next question, unless the device speaks by itself."""
        self._note_restart()
        if self._is_streaming or self._now < self._rest_until:
            return
        super()._ask()
        self._note_restart()

    def _note_restart(self) -> None:
        """Everything from the start.

        A device that answers the set-up and then no poll would else be asked a hundred questions every few seconds.
        """
        if not self._asker.has_restarted:
            return
        self._asker.has_restarted = False
        if self._identity:
            self._rest_until = self._now + SETUPS_S[min(self._restarts, len(SETUPS_S) - 1)]
            self._restarts += 1
        for key in (self.dialect.hello[-1].key, "RTIM", "RADC", *("RADA" + letter for letter in "BSLA")):
            self._asker.drop(key)
        self._forget()

    def _ask_at(self) -> float | None:
        at = self._asker.wake_at()
        if self._is_streaming:
            return self._last_frame + STREAM_S
        return None if at is None else max(at, self._rest_until)

    def _wake_times(self) -> list[float]:
        is_unfinished = self._demultiplexer.is_inside or self._curves.has_samples
        return [*([self._last_byte + IDLE_S] if is_unfinished else []), *super()._wake_times()]

    # What came.

    def _awaited(self) -> int:
        """How the next bytes are to be read: what was asked decides."""
        asked = self._asker.asked
        if self._is_streaming or asked == "RADC":
            return BLOCKS
        if self.dialect.is_binary and asked.startswith("RADA"):
            return self._tables.size(asked[4:])
        return TEXT

    def _take(self, item: Item) -> None:
        if isinstance(item, Fault):
            self._faults.append(item)
            if self._is_streaming:
                self._curves.interrupt()
            return
        if isinstance(item, DamagedCurves):
            self._faults.append(item.fault)
            self._observations += self._curves.lose(item.values, self._mds.device_time)
            return
        self._verified()
        match item:
            case Text():
                self._text(item.text)
            case DeviceError():
                self._error(item.code)
            case Values():
                self._values(item.data)
            case Curves():
                self._restarts = 0
                self._stream()
                self._operate("in_use")
                waves, faults = self._curves.add(item.data, self._mds.device_time)
                self._observations += waves
                self._faults += faults
            case Block():
                self._stream()
                self._curves.interrupt()
                self._block(item)

    def _text(self, text: str) -> None:
        asked = self._asker.asked
        if len(text) == 4 and text[:2] == "ER" and text[2:].isdecimal():
            self._error(int(text[2:]))
        elif not asked:
            self._faults.append(Fault("unsolicited"))
        elif self._readers[asked[:4]](text):
            self._asker.answered(self._now)
        else:
            self._faults.append(Fault("unexpected_answer", asked))

    def _values(self, data: bytes) -> None:
        letter = self._asker.asked[4:]
        if letter == "A":
            is_read = self._alarms(self._tables.alarms_of_block(data))
        else:
            is_read = self._seen(self._polled(letter, self._tables.read_pairs(letter, data, self._mds.device_time)))
        if is_read:
            self._in_use(letter)
            self._asker.answered(self._now)
        else:
            self._faults.append(Fault("layout", self._asker.asked, rejected=True))

    def _block(self, block: Block) -> None:
        """A block inside the stream: the curves up to here and the values of the breath have one time."""
        if block.mark == "T":
            return
        if block.mark in "AE":
            is_read = self._alarms(self._tables.alarms_of_block(block.data))
        else:
            self._flush()
            is_read = self._seen(self._tables.read_pairs(block.mark, block.data, self._mds.device_time))
        if is_read:
            self._operate("in_use")
        else:
            self._faults.append(Fault("layout", block.mark, rejected=True))

    def _polled(self, letter: str, values: list[Numeric | Enumeration] | None) -> list[Numeric | Enumeration] | None:
        """Version 005 answers RADAB in standby too; what it then holds, no source says."""
        if values is None or letter != "B" or self._mds.operating != "standby":
            return values
        return [_doubted(value) for value in values]

    def _seen(self, values: list[Numeric | Enumeration] | None) -> bool:
        if values is None:
            return False
        self._restarts = 0
        for value in values:
            if value.vendor:
                self._known[value.vendor.code] = value
        self._observations += self._mds.values(values)
        return True

    def _alarms(self, said: Alarms | None) -> bool:
        if said is None:
            return False
        self._observations += self._mds.alerts("alarms", self._tables.alerts(said, self._mds.device_time))
        return True

    # In use, standby, and what the device cannot do.

    def _in_use(self, letter: str) -> None:
        """Settings and alarms are refused in standby by every version, measured values only by the older ones."""
        if letter in ("S", "A"):
            self._operate("in_use")

    def _operate(self, operating: Operating) -> None:
        if self._is_open:
            self._observations += self._mds.operate(operating)

    def _error(self, code: int) -> None:
        asked = self._asker.asked
        if code == STOPPED:
            return  # what SCI says to ESC
        was_streaming = self._is_streaming
        self._end_stream()
        if code == STANDBY:
            self._stand_by(asked[4:] if asked.startswith("RADA") else "BS" if was_streaming else "")
        else:
            self._faults.append(Fault("device_error", f"{asked or 'stream'} {code}"))
        if was_streaming or not asked:
            if code == NOT_CONFIGURED and was_streaming:
                self._asker.restart(self._now)
        elif (code == STANDBY and asked.startswith("RAD")) or (code in _NEVER and self._go_without(asked)):
            self._asker.answered(self._now)
        else:
            self._asker.refused(self._now)

    def _stand_by(self, letters: str) -> None:
        """Nobody is ventilated: what was measured and set before is not so any more."""
        self._operate("standby")
        self._observations += self._mds.withdraw("standby", self._tables.absent(letters, self._mds.device_time))

    def _go_without(self, asked: str) -> bool:
        """Whether the set-up can go on without this answer; what follows is asked as if it had come."""
        verb = asked[:4]
        if verb == "RCCO":
            self._tables.skip()
            self._configure()
        elif verb == "RHVE":
            self._ask_device()
        elif verb == "SPVE":
            self._version = 1
            self._ask_device()
        elif asked == "SDADA":
            if self._tables.shorten_alarms():
                self._define("A")
        elif verb == "RCFG":
            self._identified()
        elif asked == "RADAL":
            self._asker.drop(asked)
        return verb in ("RCCO", "RHVE", "SPVE", "SDAD", "RCFG", "RPTY", "RSEN", "RTIM") or asked == "RADAL"

    def _stream(self) -> None:
        """A verified block: the stream runs."""
        if self._asker.asked == "RADC":
            self._asker.answered(self._now)
        self._is_streaming = True
        self._mds.device_time = ""  # it is not asked for while the stream runs

    def _end_stream(self) -> None:
        self._flush()
        self._curves.interrupt()
        self._is_streaming = False

    def _flush(self) -> None:
        self._observations += self._curves.flush(self._mds.device_time)

    # The set-up, answer by answer.

    def _read_identity(self, text: str) -> bool:
        identity = parse_identity(text)
        if identity is None:
            return False
        if identity.has_inner_fault:
            self._faults.append(Fault("inner_communication"))
        self._identity = {"model": identity.name}
        if self.dialect.hello[-1].key == "RCTY":
            self._identified()
        return True

    def _read_model(self, text: str) -> bool:
        model = parse_serial(text)
        if model is None:
            return False
        self._identity["model"] = model
        self._identified()
        return True

    def _identified(self) -> None:
        """Whose table it is, is known before anything is read with it."""
        ids = {known.casefold() for known in self._options.ids}
        if not ids or self._identity.get("model", "").casefold() in ids:
            self._asker.drop(self.dialect.hello[-1].key)
            self._tables.forget()
            self._asker.add(question("RHVE"))
            return
        self._faults.append(Fault("wrong_device", self._identity.get("model", "")))
        self._observations += self._mds.identify(self._identity, "wrong_device")
        self._observations += self._mds.withdraw("wrong_device", self._known.values())
        self._observations += self._mds.end_alerts("wrong_device")
        self._known.clear()
        self._plan_identity(WRONG_DEVICE_S)

    def _plan_identity(self, after_s: float) -> None:
        """Who it is, once more: the whole set-up follows from the answer."""
        asked = self.dialect.hello[-1]
        self._asker.plan(Question(asked.key, asked.frame, after_s), self._now + after_s)

    def _read_version(self, text: str) -> bool:
        highest = parse_version(text, self.dialect.version_digits)
        if not highest:
            return False
        self._version = min(highest, self.dialect.newest)
        self._identity["protocol"] = f"{self._version:0{self.dialect.version_digits}}"
        self._asker.add(question("SPVE" + self._identity["protocol"]))
        return True

    def _read_selected(self, text: str) -> bool:
        if text == "*":
            self._ask_device()
        return text == "*"

    def _ask_device(self) -> None:
        self._identity["protocol"] = f"{self._version:0{self.dialect.version_digits}}"
        self._asker.add(question("RSEN"))
        self._asker.add(question("RTIM"))
        self._configure()

    def _read_serial(self, text: str) -> bool:
        serial = parse_serial(text)
        if serial is not None:
            self._identity["serial"] = serial
        return serial is not None

    def _read_clock(self, text: str) -> bool:
        told = parse_clock(text)
        self._mds.device_time = told or ""
        return told is not None

    def _configure(self) -> None:
        """The configuration of the next channel; after the last one, the tables."""
        if self._tables.next_code:
            self._asker.add(question("RCCO" + self._tables.next_code))
            return
        self._faults += self._tables.settle()
        self._observations += self._mds.identify(self._identity)
        self._asker.plan(question("RTIM", self._options.clock_s), self._now + self._options.clock_s)
        self._plan_identity(NOTHING_DEFINED_S)
        for letter in (*VALUES, "A", "C"):
            self._define(letter)

    def _read_config(self, text: str) -> bool:
        config = parse_config(text)
        if config is None or config.code != self._tables.next_code:
            return False
        self._faults += self._tables.configure(config, self._version)
        self._configure()
        return True

    def _define(self, letter: str) -> None:
        definition = self._tables.definition(letter)
        if definition:
            self._asker.add(Question("SDAD" + letter, definition))

    def _read_defined(self, text: str) -> bool:
        if text != "*":
            return False
        self._asker.drop(self.dialect.hello[-1].key)
        letter = self._asker.asked[4:]
        if letter == "C":
            self._curves.configure(self._tables.channels["C"], self._options.interval_us)
            self._asker.plan(question("RADC", STREAM_AGAIN_S), self._now)
        else:
            self._asker.plan(question("RADA" + letter, self._options.periods_s[letter]), self._now)
        return True

    def _read_polled(self, text: str) -> bool:
        letter = self._asker.asked[4:]
        if letter == "A":
            is_read = self._alarms(self._tables.alarms_of_text(text))
        else:
            is_read = self._seen(self._polled(letter, self._tables.read_text(letter, text, self._mds.device_time)))
        if is_read:
            self._in_use(letter)
        return is_read


def _doubted(value: Numeric | Enumeration) -> Numeric | Enumeration:
    if value.value is None:
        return value
    return msgspec.structs.replace(value, validity="questionable", reason="standby")
