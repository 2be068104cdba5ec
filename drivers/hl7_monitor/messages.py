"""What an ORU^R01 says, verified, and the answers to it.

    MSH │ … │ application 3 │ facility 4 │ … │ ORU^R01 9 │ control id 10 │ P 11 │ version 12 │ …
    PV1 │ … │ location 3                                         OBR │ … │ time 7 │ …
    OBX │ … │ type 2 │ code^text^system 3 │ sub id 4 │ value 5 │ unit 6 │ … │ flags 8 │ … │ status 11 │ … │ time 14

HL7 2.3.1, chapter 2 (MSH, MSA), chapter 3 (PV1) and chapter 7 (OBR, OBX). There is no checksum: a message is taken
when every OBX has a type of the standard, a code, a status of the standard and times in their form; else none of it.
"""

import re
from typing import Literal

from msgspec import Struct

from drivers.contract import Fault
from drivers.framing.hl7 import Message, Segment
from drivers.framing.mllp import wrap

MAX_RESULTS = 1000
_TYPES = frozenset(
    ("AD", "CE", "CF", "CK", "CN", "CNE", "CP", "CWE", "CX", "DR", "DT", "DTM", "ED", "EI", "FT", "ID", "IS", "MO")
    + ("NA", "NM", "PN", "RP", "SN", "ST", "TM", "TN", "TS", "TX", "XAD", "XCN", "XON", "XPN", "XTN")
)
_STATUSES = frozenset("CDFINOPRSUWX")
_CONTROL_ID = re.compile(r"[0-9A-Za-z .:/+=_@#-]{1,64}")
_CODE = re.compile(r"[!-~]{1,64}")
_TIME = re.compile(r"(?:[0-9]{4,14}(?:\.[0-9]{1,4})?(?:[+-][0-9]{4})?)?")
_VERSION = re.compile(r"2(?:\.[0-9]){0,2}")
_PROCESSING = re.compile(r"[PDT]")
_NEVER = "NE"
Verdict = Literal["AA", "AE", "AR"]


class Result(Struct, frozen=True):
    """One OBX, as sent."""

    kind: str
    code: str
    name: str
    sub_id: str
    value: str
    unit: tuple[str, ...]
    """OBX-6 by components."""
    unit_text: str
    flags: tuple[str, ...]
    status: str
    time: str
    """OBX-14, else OBR-7, else MSH-7."""
    has_own_time: bool
    """Whether it is OBX-14."""

    @property
    def full_code(self) -> str:
        """The code, and the sub id where there is one."""
        return f"{self.code}@{self.sub_id}" if self.sub_id else self.code


class Header(Struct, frozen=True):
    """What MSH says: enough to answer."""

    application: str
    facility: str
    time: str
    kind: str
    control_id: str
    processing: str
    version: str
    wants_answer: bool

    @classmethod
    def from_message(cls, message: Message) -> "Header | Fault":
        """MSH, or the fault that makes an answer impossible."""
        marks, msh = message.delimiters, message.header
        first = [marks.components(msh[number])[0] for number in range(13)]
        kind = marks.components(msh[9])
        if _CONTROL_ID.fullmatch(msh[10]) is None:
            return Fault("control_id", rejected=True)
        if _PROCESSING.fullmatch(first[11]) is None or _VERSION.fullmatch(first[12]) is None:
            return Fault("framing", "MSH", rejected=True)
        return cls(
            application=first[3],
            facility=first[4],
            time=first[7] if _TIME.fullmatch(first[7]) else "",
            kind="^".join(kind[:2]),
            control_id=msh[10],
            processing=first[11],
            version=first[12],
            wants_answer=kind[0] != "ACK" and not (msh[15] == msh[16] == _NEVER),
        )

    def answer(self, verdict: Verdict) -> bytes:
        """The acknowledgement, with its frame; the box has no clock here, so MSH-7 is empty."""
        if not self.wants_answer:
            return b""
        msh = f"MSH|^~\\&|JISR||||||ACK^R01|{self.control_id}|{self.processing}|{self.version}\r"
        return wrap(f"{msh}MSA|{verdict}|{self.control_id}\r".encode("ascii"))


class Report(Struct, frozen=True):
    """The results of one message, all of one bed."""

    bed: str
    """PV1-3 as sent; empty where the message has none."""
    results: tuple[Result, ...]

    @classmethod
    def from_message(cls, message: Message) -> "Report | Fault":
        """All results, or the fault that refuses the message."""
        visits = message.named("PV1")
        if len(visits) > 1 or len(message.named("PID")) > 1:
            return Fault("several_patients")
        results: list[Result] = []
        observed = message.header[7]
        for segment in message.segments:
            if segment.name == "OBR":
                observed = segment[7] or observed
            elif segment.name == "OBX":
                result = _result(message, segment, observed)
                if isinstance(result, Fault):
                    return result
                results.append(result)
        if len(results) > MAX_RESULTS:
            return Fault("length", str(len(results)), rejected=True)
        return cls(visits[0][3] if visits else "", tuple(results))


def _result(message: Message, obx: Segment, observed: str) -> Result | Fault:
    marks = message.delimiters
    code, name, *_system = (*marks.components(obx[3]), "")
    forms = (
        ("type", obx[2] in _TYPES),
        ("code", _CODE.fullmatch(code)),
        ("sub_id", not obx[4] or _CODE.fullmatch(obx[4])),
        ("status", obx[11] in _STATUSES),
        ("time", _TIME.fullmatch(obx[14])),
        ("character", not any("\t" in text for text in obx.fields)),
    )
    wrong = next((reason for reason, fits in forms if not fits), "")
    if wrong:
        return Fault(wrong, "OBX", rejected=True)
    return Result(
        kind=obx[2],
        code=code,
        name=name,
        sub_id=obx[4],
        value=obx[5],
        unit=marks.components(obx[6]),
        unit_text=obx[6],
        flags=tuple(flag for flag in marks.repetitions(obx[8]) if flag),
        status=obx[11],
        time=obx[14] or (observed if _TIME.fullmatch(observed) else ""),
        has_own_time=bool(obx[14]),
    )
