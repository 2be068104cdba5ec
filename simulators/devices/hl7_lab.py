r"""A laboratory analyzer that sends results by HL7 version 2 over MLLP, and what it makes of the acknowledgement.

    analyzer   0B MSH|^~\&|… ORU^R01 | id … <CR> PID … OBR … OBX … <CR> 1C 0D
    box        0B MSH|^~\&|… ACK …  <CR> MSA|AA|id <CR> 1C 0D          within 10 s

    AA, CA  accepted                        AE, CE  try again: the same message a little later, three times in all
    AR, CR  refused: never sent again       nothing BC: the next message, this one is lost unless sent
                                                    in a batch later; others: the same message again

BC-5300 calls the box and keeps the connection; BC-5800 is called, and says a lone 02 every 3 s.
Habits, one message in three: rerun, qc, resent (an earlier message under a new id), query, corrected (an earlier
message, one status C), deleted (D) and wrong (W, posted to the wrong patient) the same way; one result in eight:
cannot (X, no value), missing, structured (SN `<^5.0`), comma, text (`Positif`), repeats (OBX-5 twice, with ~); images
adds bitmaps.

After a query the box may say nothing, acknowledge it, or say that there is no order; anything else is in `illegal`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import ClassVar, Literal

from simulators.devices.analyzer import ANALYZER_OPTIONS, UNCHECKED_FAULTS, Analyzer
from simulators.devices.hl7_lab_messages import HABITS, MODELS, Stamp, bitmap_rows, results_in
from simulators.devices.lab_results import Result, Row, Run
from simulators.devices.simulator import NO_OPTIONS, Option

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
HEARTBEAT = b"\x02"
LINE_ENDS: Mapping[str, str] = MappingProxyType({"cr": "\r", "lf": "\n", "crlf": "\r\n"})
ORIGINAL, ENHANCED = ("AA", "AE", "AR"), ("CA", "CE", "CR")
NO_ORDER = MappingProxyType({"QRY": ("QCK",), "ORM": ("ORR",), "QBP": ("RSP",)})
"""Question → the answers that may say that there is no order."""
EMPTY_ANSWER = frozenset({"MSH", "MSA", "ERR", "QAK", "QPD"})
NOTHING_FOUND = ("", "NF", "AE", "AR")
ANSWER_LIMIT = 65_536
TRIES = 3
RETRY_S = 5.0
KEPT = 16
ODD_MESSAGE, ODD_ROW = 0.34, 0.12
AGAIN = MappingProxyType({"corrected": "C", "deleted": "D", "wrong": "W"})


def wrapped(segments: list[str], end: str = "\r", encoding: str = "utf-8") -> bytes:
    """A message in its MLLP block; every segment has its end."""
    return VT + "".join(segment + end for segment in segments).encode(encoding) + FS + CR


@dataclass
class Letter:
    """One message and what became of it."""

    control_id: str
    kind: str
    """new, one of the habits, or query."""
    question: str
    """QRY, ORM or QBP; empty: results."""
    data: bytes
    results: tuple[Result, ...]
    status: Literal["waiting", "sent", "accepted", "refused", "lost"] = "waiting"
    tries: int = 0
    is_undamaged: bool = False
    """It has left the device undamaged at least once."""


class Hl7Lab(Analyzer):
    """The analyzer's side of HL7 over MLLP."""

    NAME: ClassVar[str] = "hl7_lab"
    DESCRIPTION: ClassVar[str] = "laboratory analyzers over HL7 (Mindray BC and BS, GeneXpert), TCP client or server"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**UNCHECKED_FAULTS, "lost_ack": "an acknowledgement is not heard"}
    )
    HABITS: ClassVar[tuple[str, ...]] = HABITS
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **ANALYZER_OPTIONS,
            "model": Option("mindray_bc5300", " | ".join(MODELS)),
            "habits": Option("", "all, or some of: " + ", ".join(HABITS)),
            "line_end": Option("cr", "cr | lf | crlf: what ends a segment"),
            "charset": Option("utf-8", "utf-8 | latin-1"),
            "batch": Option("1", "messages in one write, 1 to 20"),
            "ack_mode": Option("original", "original | enhanced (MSH-15 AL, MSH-16 NE; the box says CA, CE or CR)"),
            "ack_s": Option("10", "how long it waits for an acknowledgement"),
            "on_timeout": Option("", "skip | resend; empty: as the model does"),
            "resend_all_s": Option("0", "the operator sends all that was lost again, each so many seconds; 0: never"),
            "query_s": Option("2", "how long it waits for the answer to a question"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.model = MODELS[self.choice("model", tuple(MODELS))]
        self.letters: list[Letter] = []
        self.acknowledged: list[str] = []
        """Control ids that were accepted (AA or CA), in that order."""
        self.refused: list[str] = []
        """Control ids with AR or CR."""
        self.errors: list[str] = []
        """Control ids with AE or CE, once for each."""
        self.answers: list[bytes] = []
        """What the box said to questions, all of it allowed."""
        self.unknown_acks = 0
        """Acknowledgements of an id that a fault may have made."""
        self.late_acks = 0
        """Acknowledgements of messages that nobody waits for any more."""
        self._habits &= self.model.habits
        self._end = LINE_ENDS[self.choice("line_end", tuple(LINE_ENDS))]
        self._encoding = self.choice("charset", ("utf-8", "latin-1"))
        self._batch = int(self.seconds("batch"))
        if not 1 <= self._batch <= 20:
            raise ValueError(f"{self.NAME}: option batch = {self.options['batch']!r}; expected 1 to 20")
        self._is_enhanced = self.choice("ack_mode", ("original", "enhanced")) == "enhanced"
        self._ack_s = max(self.seconds("ack_s"), 0.001)
        self._on_timeout = self.choice("on_timeout", ("", "skip", "resend")) or self.model.on_timeout
        self._mix = Random(seed ^ 0xABE)  # noqa: S311 - habits must not change the values drawn from _rng
        self._by_id: dict[str, Letter] = {}
        self._queue: deque[Letter] = deque()
        self._pending: list[Letter] = []
        self._runs: deque[Run] = deque(maxlen=KEPT)
        self._number = 2_300_013_215 + seed % 1000
        self._qc_number = 0
        self._heard = bytearray()
        self._is_lost = False

    @property
    def is_finished(self) -> bool:
        """Everything that will ever be sent was answered, lost or refused."""
        return self._left == 0 and not self._queue and not self._pending

    # -- the clock -------------------------------------------------------------------------------------------------

    def _power_up(self, now: float) -> None:
        self._heard.clear()
        for letter in self._pending:
            letter.status = "lost"
        self._pending = []
        if self.model.heartbeat_s:
            self._set("heartbeat", now + self.model.heartbeat_s, self.model.heartbeat_s)
        if resend_all_s := self.seconds("resend_all_s"):
            self._set("resend_all", now + resend_all_s, resend_all_s)
        if self._queue:
            self._set("send", now)

    def connected(self, now: float) -> None:
        """A new connection: what was under way goes out again, or is lost, as after a time-out."""
        super().connected(now)
        self._heard.clear()
        if self._pending:
            self._set("ack", now)
        elif self._queue:
            self._set("send", now)

    def _alarm(self, name: str, now: float) -> None:
        match name:
            case "ack":
                self._time_out(now)
            case "heartbeat":
                if self._is_linked:
                    self._line.put(HEARTBEAT, now)
            case "resend_all":
                self._queue.extend(letter for letter in self.letters if letter.status == "lost")
                self._go_on(now)
            case _:
                self._go_on(now)

    def _measure(self, now: float) -> None:
        self._enqueue(self._letter(now))
        self._go_on(now)

    def _enqueue(self, letter: Letter) -> None:
        self.letters.append(letter)
        self._by_id[letter.control_id] = letter
        self._queue.append(letter)

    # -- sending ---------------------------------------------------------------------------------------------------

    def _go_on(self, now: float) -> None:
        """Send what waits, when nothing is under way."""
        if self._pending or not self._is_linked or not self._queue:
            return
        if len(self._queue) < self._batch and self._left != 0:
            return
        first = self._queue.popleft()
        batch = [first]
        while self._queue and len(batch) < self._batch and not first.question and not self._queue[0].question:
            batch.append(self._queue.popleft())
        self._pending = batch
        for letter in batch:
            letter.status = "sent"
            letter.tries += 1
        emission = self._emit(b"".join(letter.data for letter in batch), now)
        for letter in batch:
            letter.is_undamaged = letter.is_undamaged or bool(emission.good)
        self._set("ack", now + (self.seconds("query_s") if first.question else self._ack_s))

    def _time_out(self, now: float) -> None:
        pending, self._pending = self._pending, []
        again = [letter for letter in pending if self._on_timeout == "resend" and letter.tries < TRIES]
        for letter in pending:
            letter.status = "waiting" if letter in again and not letter.question else "lost"
        self._queue.extendleft(reversed([letter for letter in again if not letter.question]))
        self._go_on(now)

    # -- the box ---------------------------------------------------------------------------------------------------

    def _thaw(self, now: float) -> None:
        self._heard.clear()
        self._is_lost = True
        super()._thaw(now)

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
                if len(self._heard) > ANSWER_LIMIT:
                    self.illegal.append(bytes(self._heard))
                    self._heard.clear()
                return
            block = bytes(self._heard[1:end])
            del self._heard[: end + 2]
            self._take(block, now)

    def _take(self, block: bytes, now: float) -> None:
        """Judge a whole message of the box."""
        segments = [segment.decode("latin-1").split("|") for segment in block.split(CR) if segment]
        names = [segment[0] for segment in segments]
        if len(segments) < 2 or names[0] != "MSH" or names.count("MSA") != 1 or len(segments[0]) < 12:
            self.illegal.append(block)
            return
        verdict = (next(segment for segment in segments if segment[0] == "MSA") + ["", ""])[1:3]
        letter = self._by_id.get(verdict[1])
        if letter is None:
            if self.injected:
                self.unknown_acks += 1
            else:
                self.illegal.append(block)
            return
        if not self._is_allowed(segments, verdict[0], letter):
            self.illegal.append(block)
        elif self._strikes("lost_ack"):
            return
        else:
            if letter.question:
                self.answers.append(block)
            self._settle(letter, verdict[0], now)

    def _is_allowed(self, segments: list[list[str]], code: str, letter: Letter) -> bool:
        """An acknowledgement in the mode that was asked for, or the polite `no order`."""
        kind = segments[0][8].split("^", maxsplit=1)[0]
        if kind == "ACK":
            allowed = (*ORIGINAL, *ENHANCED) if letter.question else ENHANCED if self._is_enhanced else ORIGINAL
            return code in allowed and all(segment[0] in ("MSH", "MSA", "ERR") for segment in segments)
        if kind not in NO_ORDER.get(letter.question, ()):
            return False
        found = [(segment + ["", "", ""])[2] for segment in segments if segment[0] == "QAK"]
        is_empty = all(segment[0] in EMPTY_ANSWER for segment in segments)
        return code in ORIGINAL and is_empty and all(status in NOTHING_FOUND for status in found)

    def _settle(self, letter: Letter, code: str, now: float) -> None:
        if letter not in self._pending:
            self.late_acks += 1
            if code in ("AA", "CA") and letter.status == "lost":
                self._accept(letter, now)
                if letter in self._queue:
                    self._queue.remove(letter)
            return
        self._pending.remove(letter)
        if code in ("AA", "CA"):
            self._accept(letter, now)
        elif code in ("AR", "CR"):
            letter.status = "refused"
            self.refused.append(letter.control_id)
        else:
            self.errors.append(letter.control_id)
            letter.status = "waiting" if letter.tries < TRIES and not letter.question else "lost"
            if letter.status == "waiting":
                self._queue.appendleft(letter)
                self._set("send", now + RETRY_S)
        if not self._pending:
            self._unset("ack")
            if code not in ("AE", "CE"):
                self._go_on(now)

    def _accept(self, letter: Letter, now: float) -> None:
        letter.status = "accepted"
        self.acknowledged.append(letter.control_id)
        if letter.is_undamaged:  # MLLP has no checksum: a damaged message may well be acknowledged
            self._count(now, letter.control_id, letter.results)

    # -- the messages ----------------------------------------------------------------------------------------------

    def _letter(self, now: float) -> Letter:
        """The next message: a new specimen, or what a habit makes of it."""
        wished = sorted(self._habits & {"rerun", "qc", "resent", "query", *AGAIN})
        kind = "new"
        if wished and self._mix.random() < ODD_MESSAGE:
            kind = self._mix.choice(wished)
        if not self._runs and kind != "qc":
            kind = "new"
        if kind == "query":
            return self._query_letter(now)
        if kind in ("resent", *AGAIN):
            return self._written(self._again(kind), kind, now)
        self._number += 1
        run = self.model.run(self._rng, self._number)
        if kind == "qc":
            self._qc_number += 1
            run = run._replace(purpose="control", specimen=f"QC-{self._qc_number:04d}")
        if kind == "rerun":
            patients = [one.specimen for one in self._runs if one.purpose == "patient"]
            run = run._replace(specimen=self._mix.choice(patients)) if patients else run
        run = run._replace(rows=tuple(self._odd(row) for row in run.rows))
        if "images" in self._habits:
            run = run._replace(rows=(*run.rows, *bitmap_rows(run.number)))
        self._runs.append(run)
        return self._written(run, kind, now)

    def _again(self, kind: str) -> Run:
        run = self._mix.choice(self._runs)
        if kind == "resent":
            return run
        rows = list(run.rows)
        index = self._mix.choice([i for i, row in enumerate(rows) if row.status and row.note != "ED"])
        row = rows[index]
        value = row.value
        if kind == "corrected":
            value = "".join(
                str((int(x) + 1 + self._mix.randrange(8)) % 10) if x in "0123456789" else x for x in value
            )
            value = "NOT DETECTED^" if value == row.value == "DETECTED^" else value
        rows[index] = row._replace(status=AGAIN[kind], value=value)
        return run._replace(rows=tuple(rows))

    def _odd(self, row: Row) -> Row:
        wished = sorted(self._habits & {"cannot", "missing", "structured", "comma", "text", "repeats"})
        if not wished or row.status != "F" or row.note == "ED" or self._mix.random() >= ODD_ROW:
            return row
        match self._mix.choice(wished):
            case "cannot":
                return row._replace(status="X", value="")
            case "missing":
                return row._replace(value=self._mix.choice(("", '""', "---", "****")))
            case "structured":
                return row._replace(value=self._mix.choice(("<^5.0", ">^1000", "=^1^:^80")), note="SN")
            case "comma":
                return row._replace(value=row.value.replace(".", ","), note="ST")
            case "text":
                return row._replace(value=self._mix.choice(("Positif", "Négatif", "1+", "TRACE")), unit="", note="ST")
            case _:
                return row._replace(value=f"{row.value}~{row.value}9")

    def _stamp(self, now: float) -> Stamp:
        time = f"{self._clock(now):%Y%m%d%H%M%S}"
        return Stamp(f"{self.seed % 1000:03d}{len(self.letters) + 1:07d}", time, time, self._is_enhanced)

    def _written(self, run: Run, kind: str, now: float) -> Letter:
        stamp = self._stamp(now)
        segments = self.model.segments(run, stamp)
        if self._is_enhanced and not segments[0].endswith("|AL|NE"):
            head = segments[0].split("|")
            head += [""] * (16 - len(head))
            head[14:16] = ["AL", head[15] or "NE"]  # a BS says something else in MSH-16
            segments[0] = "|".join(head)
        return Letter(stamp.control_id, kind, "", wrapped(segments, self._end, self._encoding), results_in(segments))

    def _query_letter(self, now: float) -> Letter:
        stamp = self._stamp(now)
        segments = self.model.query(self._runs[-1].specimen, stamp)
        question = segments[0].split("|")[8].split("^", maxsplit=1)[0]
        return Letter(stamp.control_id, "query", question, wrapped(segments, self._end, self._encoding), ())
