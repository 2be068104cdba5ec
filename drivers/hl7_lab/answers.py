r"""All that the box can say to an analyzer: acknowledgements, and that there is no order.

    MSH │ ^~\& │ … │ … │ … │ … │ time │ │ ACK^R01 │ id │ P │ 2.3.1 CR   MSA │ AA │ id CR

HL7 2.5, chapter 2, 2.9.2 and 2.9.3, MSA in 2.15.8. Mindray's chemistry analyzers take the whole answer apart at its
bars, so that it must have all of them (BS-200 Host Interface Manual, version 1.2, page 25). The answer to a query has
no segment in which an order could stand. The time is the sender's own: the box has no clock here.
"""

import re

from drivers.framing.hl7 import Message
from drivers.framing.mllp import wrap
from drivers.hl7_lab.envelope import PRINTABLE, Header, Verdict
from drivers.hl7_lab.options import Options

US = "JISR"
_FIELD = rf"(?:{PRINTABLE}|[\^&]){{0,64}}"
_TAG = re.compile(PRINTABLE + "{1,64}")
_QUESTION = re.compile(rf"Z0[13]\^[A-Z ]{{1,32}}\|{PRINTABLE}{{1,64}}(?:\|{_FIELD}){{0,3}}")
_TEXTS = {
    "AA": ("Message accepted", "0"),
    "AE": ("Application internal error", "207"),
    "AR": ("Unsupported message type", "200"),
}
"""MSA-3 and MSA-6 (HL7 table 0357), which Mindray's chemistry analyzers want."""


class Answers:
    """The answers to one analyzer."""

    def __init__(self, options: Options) -> None:
        self._is_mindray = options.answer == "mindray_chemistry"
        self._is_plain = options.plain_ack
        self._query = options.query

    def acknowledge(self, header: Header, verdict: Verdict) -> bytes:
        """The acknowledgements that the sender wants, in frames; empty where it wants none or has no control id."""
        return b"".join(self._acknowledgement(header, code) for code in header.codes(verdict))

    def _acknowledgement(self, header: Header, code: str) -> bytes:
        if self._is_mindray and code in _TEXTS:
            text, number = _TEXTS[code]
            result_type = header.application_mode if header.application_mode in ("0", "1", "2") else ""
            msh = _mindray(header, f"ACK^{header.event}" if header.event else "ACK", result_type)
            return wrap(f"{msh}\rMSA|{code}|{header.control_id}|{text}|||{number}|\r".encode("ascii"))
        kind = "ACK" if self._is_plain or not header.event else f"ACK^{header.event}"
        return wrap(f"{_plain(header, kind)}\rMSA|{code}|{header.control_id}\r".encode("ascii"))

    def is_query(self, message: Message, header: Header) -> bool:
        """Whether this asks for orders, in the way of this family."""
        kind = header.kind
        if self._query == "orr":
            return kind == "ORM^O01" and any(orc[1] == "RF" for orc in message.named("ORC"))
        if self._query == "qck":
            return kind == "QRY^Q02"
        return self._query == "rsp" and kind in ("QBP^Z01", "QBP^Z03")

    def no_order(self, message: Message, header: Header) -> bytes:
        """That there is none; empty where the question cannot be answered so."""
        if not header.has_control_id:
            return b""
        if self._query == "orr":
            return wrap(f"{_plain(header, 'ORR^O02')}\rMSA|AR|{header.control_id}\r".encode("ascii"))
        if self._query == "qck":
            if any(qrd[9] != "OTH" for qrd in message.named("QRD")):
                return b""  # CAN: the device cancels its question
            msa = f"MSA|AA|{header.control_id}|Message accepted|||0|\rERR|0|\rQAK|SR|NF|\r"
            return wrap(f"{_mindray(header, 'QCK^Q02', '')}\r{msa}".encode("ascii"))
        return _no_order_by_response(message, header)


def _no_order_by_response(message: Message, header: Header) -> bytes:
    for qpd in message.named("QPD"):
        question = "|".join(qpd.fields[1:6])
        if _QUESTION.fullmatch(question) and _TAG.fullmatch(qpd[2]):
            msa = f"MSA|AA|{header.control_id}\rQAK|{qpd[2]}|OK|{qpd[1]}\rQPD|{question}\r"
            return wrap(f"{_plain(header, 'RSP^Z02', is_last=True)}\r{msa}".encode("ascii"))
    return b""


def _plain(header: Header, kind: str, *, is_last: bool = False) -> str:
    """MSH without its end: the sender becomes the receiver, the receiver that it named the sender."""
    modes = "|||NE|NE" if is_last or header.is_enhanced else ""
    charset = f"{modes or '|||||'}{'||' if modes else '|'}{header.charset}" if header.charset else modes
    return (
        f"MSH|^~\\&|{header.receiver or US}|{header.receiver_facility}|{header.application}|{header.facility}|"
        f"{header.time}||{kind}|{header.control_id}|{_processing(header)}|{header.version}{charset}"
    )


def _mindray(header: Header, kind: str, result_type: str) -> str:
    """MSH as the manual prints it, with all its bars."""
    return (
        f"MSH|^~\\&|||{header.application}|{header.facility}|{header.time}||{kind}|{header.control_id}|"
        f"{_processing(header)}|{header.version}||||{result_type}||ASCII|||"
    )


def _processing(header: Header) -> str:
    return header.processing if header.processing in ("P", "Q", "T", "D") else "P"
