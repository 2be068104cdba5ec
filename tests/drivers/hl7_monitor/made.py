"""HL7 messages written by hand, and the acknowledgement as the standard has it."""

from typing import Any

import msgspec

from drivers.contract import Output, StreamDriver
from drivers.observation import AnyObservation, Enumeration, Numeric
from tests.drivers.masimo_ascii.port import Port, port, values

PID = "PID|1||4711^^^HOSP^MR||DOE^JANE||19700101|F"
BPM = "264864^MDC_DIM_BEAT_PER_MIN^MDC"
HEART_RATE = "147842^MDC_ECG_HEART_RATE^MDC"


def wire(*segments: str) -> bytes:
    """A message as it goes over the line."""
    return b"\x0b" + "".join(f"{segment}\r" for segment in segments).encode() + b"\x1c\r"


def msh(number: str = "1", **more: str) -> str:
    """MSH."""
    field = {"app": "GATE", "kind": "ORU^R01", "processing": "P", "version": "2.3.1", "time": "", "tail": ""} | more
    head = f"MSH|^~\\&|{field['app']}|WARD|||{field['time']}||{field['kind']}|{number}"
    return f"{head}|{field['processing']}|{field['version']}{field['tail']}"


def obx(code: str, value: str, **more: str) -> str:
    """OBX."""
    field = {"kind": "NM", "sub": "", "unit": "", "flags": "", "status": "F", "time": ""} | more
    front = f"OBX|1|{field['kind']}|{code}|{field['sub']}|{value}|{field['unit']}||{field['flags']}|||"
    return f"{front}{field['status']}|||{field['time']}"


def oru(*segments: str, number: str = "1", bed: str = "ICU^^BED7", **more: str) -> bytes:
    """A message of results of one bed."""
    return wire(msh(number, **more), PID, f"PV1|1|I|{bed}", *segments)


def heart_rate(value: str, **more: str) -> str:
    """OBX of a heart rate in the codes of IEEE 11073."""
    return obx(HEART_RATE, value, **({"unit": BPM, "sub": "1.1.1.1"} | more))


def answer(verdict: str, number: str = "1", processing: str = "P", version: str = "2.3.1") -> bytes:
    """An acknowledgement."""
    return wire(f"MSH|^~\\&|JISR||||||ACK^R01|{number}|{processing}|{version}", f"MSA|{verdict}|{number}")


class Caller(Port):
    """A port whose `sent` is what was said after the commit, without what would have been said instead."""

    def take(self, output: Output) -> list[AnyObservation]:
        """Keep one output."""
        return super().take(msgspec.structs.replace(output, refusal=b""))


def calling(driver: StreamDriver) -> Caller:
    """A driver, started."""
    made = Caller(driver)
    made.take(driver.start(made.now))
    return made


def listening(profile: str = "generic", **options: Any) -> Caller:
    """A fresh driver, started."""
    return calling(port("hl7_monitor", profile, **options).driver)


def settled() -> Caller:
    """A sender in the codes of IEEE 11073 whose heart rate is known."""
    made = listening("mdc")
    made.rx(oru(heart_rate("59")))
    made.sent = b""
    return made


def raw(seen: list[AnyObservation]) -> dict[str, str]:
    """What was published as sent: text by code."""
    found = [o for o in seen if isinstance(o, Numeric | Enumeration) and o.value is None and o.vendor]
    return {o.vendor.code: o.vendor.text for o in found if o.vendor}


def only(seen: list[AnyObservation]) -> tuple[str, str]:
    """The value of the only number, and its validity or reason."""
    ((_code, value, why),) = values(seen)
    return value, why
