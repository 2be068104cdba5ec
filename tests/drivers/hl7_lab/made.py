"""HL7 messages written by hand, and a driver that reads them."""

from typing import Any, cast

from drivers import catalog
from drivers.contract import Output, StreamDriver
from drivers.observation import Result

PID = "PID|1||4711^^^HOSP^MR||DOE^JANE||19700101|F"
TESTS = ["GLU", "NA", "CRP"]
"""What the laboratory has checked, where a test does not say otherwise."""


def wire(*segments: str, end: str = "\r") -> bytes:
    """A message as it goes over the line."""
    return b"\x0b" + "".join(f"{segment}{end}" for segment in segments).encode() + b"\x1c\r"


def msh(number: str = "1", **more: str) -> str:
    """MSH; `tail` is what follows the version."""
    field = {"app": "ANALYZER", "lab": "LAB", "to": "|", "time": "20260105100000", "kind": "ORU^R01"}
    field |= {"mode": "P", "version": "2.4", "tail": ""} | more
    head = f"MSH|^~\\&|{field['app']}|{field['lab']}|{field['to']}|{field['time']}||{field['kind']}|{number}"
    return f"{head}|{field['mode']}|{field['version']}{field['tail']}"


def obx(code: str, value: str, **more: str) -> str:
    """OBX; `time` is OBX-14."""
    field = {"kind": "NM", "sub": "", "unit": "mmol/L", "range": "", "flags": "N", "status": "F", "time": ""} | more
    front = f"OBX|1|{field['kind']}|{code}|{field['sub']}|{value}|{field['unit']}|{field['range']}|{field['flags']}"
    return f"{front}|||{field['status']}|||{field['time']}"


def oru(*segments: str, number: str = "1", specimen: str = "S1", **more: str) -> bytes:
    """A message of results of one specimen."""
    return wire(msh(number, **more), PID, f"OBR|1||{specimen}|PANEL|||20260105094500", *segments)


def make(profile: str = "generic", **options: Any) -> StreamDriver:
    """A fresh driver, started."""
    if profile == "generic":
        options = {"tests": TESTS} | options
    driver = cast(StreamDriver, catalog.create(catalog.profile("hl7_lab", profile), options))
    driver.start(0.0)
    return driver


def feed(driver: StreamDriver, *pieces: bytes, now: float = 1.0) -> list[Output]:
    """What the driver says to each piece."""
    return [driver.receive(piece, now) for piece in pieces]


def results_of(outputs: list[Output]) -> list[Result]:
    """All results."""
    return [seen for output in outputs for seen in output.observations if isinstance(seen, Result)]


def reasons(outputs: list[Output]) -> list[str]:
    """All faults; `!` where a frame was refused."""
    return [fault.reason + "!" * fault.rejected for output in outputs for fault in output.faults]


def read(
    *segments: str, profile: str = "generic", more: dict[str, str] | None = None, **options: Any
) -> list[Result]:
    """The results of one message."""
    return results_of(feed(make(profile, **options), oru(*segments, **(more or {}))))


def one(segment: str, **options: Any) -> Result:
    """The only result of one OBX."""
    (seen,) = read(segment, **options)
    return seen


def codes(output: Output) -> list[str]:
    """MSA-1 of the answers."""
    return [part[:2] for part in output.send.decode().split("\rMSA|")[1:]]


def refused(output: Output) -> list[str]:
    """MSA-1 of what is said where nothing could be stored."""
    return [part[:2] for part in output.refusal.decode().split("\rMSA|")[1:]]
