"""What reading an analyzer costs: messages of 30 results per CPU-second, the same results in each form.

The drivers do all they do on a line: frames, checksums and answers, then results with their identities. Beside them
stands the public library `hl7` (python-hl7), which parses the same HL7 messages, whose fields are then taken out; it
has no link, no units, no identity. In rounds, in turn, so that all meet the same machine: the middle one in seconds
of the reference machine, and the best one as measured.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import hl7  # type: ignore[import-untyped]

from bench.machine import Pace
from drivers import catalog
from drivers.contract import StreamDriver
from drivers.framing.checksum import sum8

MESSAGES, ROUNDS, LOOKS = 300, 7, 5
TESTS = (
    *(("6690-2", "WBC"), ("789-8", "RBC"), ("718-7", "HGB"), ("4544-3", "HCT"), ("787-2", "MCV"), ("785-6", "MCH")),
    *(("786-4", "MCHC"), ("777-3", "PLT"), ("788-0", "RDW-CV"), ("21000-5", "RDW-SD"), ("32207-3", "PDW")),
    *(("32623-1", "MPV"), ("48386-7", "P-LCR"), ("51637-7", "PCT"), ("751-8", "NEUT#"), ("731-0", "LYMPH#")),
    *(("742-7", "MONO#"), ("711-2", "EO#"), ("704-7", "BASO#"), ("770-8", "NEUT%"), ("736-9", "LYMPH%")),
    *(("5905-5", "MONO%"), ("713-8", "EO%"), ("706-2", "BASO%"), ("53115-2", "IG#"), ("38518-7", "IG%")),
    *(("10000", "LIC#"), ("10001", "LIC%"), ("26477-0", "ALY#"), ("13046-8", "ALY%")),
)
"""Code and name; 30 of them, as a blood count of a large analyzer has."""
Figures = dict[str, float]


def _value(number: int, serial: int) -> str:
    return f"{number}.{serial % 100:02d}"


def _time(serial: int) -> str:
    return f"20260101{serial // 3600 % 24:02d}{serial // 60 % 60:02d}{serial % 60:02d}"


def _astm_records(serial: int) -> list[bytes]:
    records = [rf"H|\^&|||XP-300^00-07^^^^A0001^X||||||||E1394-97|{_time(serial)}", "P|1"]
    records.append(f"O|1||^^{serial:>15}^B|^^^^WBC|||||||N||||||||||||||F")
    records += [
        f"R|{number}|^^^^{name}^1|{_value(number, serial)}|10*3/uL|4.00 to 10.00|H||||OP||{_time(serial)}"
        for number, (_, name) in enumerate(TESTS, 1)
    ]
    return [f"{record}\r".encode() for record in (*records, "L|1|N")]


def _frame(number: int, text: bytes) -> bytes:
    body = b"%d" % (number & 7) + text + b"\x03"
    return b"\x02" + body + b"%02X" % sum8(body) + b"\r\n"


def astm_session(serial: int, *, in_one_frame: bool) -> list[bytes]:
    """As the analyzer sends it, cut where it waits for an answer."""
    texts = _astm_records(serial)
    texts = [b"".join(texts)] if in_one_frame else texts
    return [b"\x05", *(_frame(number, text) for number, text in enumerate(texts, 1)), b"\x04"]


def hl7_message(serial: int) -> bytes:
    """The same results as HL7, without MLLP."""
    segments = [
        rf"MSH|^~\&|BC-5380|Mindray|||{_time(serial)}||ORU^R01|{serial}|P|2.3.1||||||UNICODE",
        "PID|1||||",
        "PV1|1",
        f"OBR|1||{serial}|00001^Automated Count^99MRC|||{_time(serial)}|||||||||||||||||HM",
    ]
    segments += [
        f"OBX|{number}|NM|{code}^{name}^LN||{_value(number, serial)}|10*3/uL|4.00-10.00|H|||F"
        for number, (code, name) in enumerate(TESTS, 1)
    ]
    return "".join(f"{segment}\r" for segment in segments).encode()


def _driven(driver_name: str, profile: str, sessions: list[list[bytes]]) -> float:
    """CPU seconds of a driver that has seen nothing yet."""
    driver = cast(StreamDriver, catalog.create(catalog.profile(driver_name, profile)))
    driver.start(0.0)
    read = 0
    began = time.process_time()
    for number, session in enumerate(sessions):
        for piece in session:
            read += len(driver.receive(piece, float(number)).observations)
    spent = time.process_time() - began
    if read != len(sessions) * len(TESTS) + 1:  # and the device itself
        raise AssertionError(f"{driver_name}: {read} results")
    return spent


def _taken_out(message: Any) -> Iterator[tuple[str, ...]]:
    for segment in message.segments("OBX"):
        yield tuple(str(segment[field]) for field in (3, 5, 6, 7, 8, 11))


def _by_the_library(messages: list[bytes]) -> float:
    """CPU seconds of python-hl7."""
    read = 0
    began = time.process_time()
    for data in messages:
        read += len(list(_taken_out(hl7.parse(data.decode("utf-8")))))
    spent = time.process_time() - began
    if read != len(messages) * len(TESTS):
        raise AssertionError(f"hl7: {read} results")
    return spent


def measure() -> Figures:
    """Messages per CPU-second."""
    numbers = range(MESSAGES)
    whole = [astm_session(number, in_one_frame=True) for number in numbers]
    parted = [astm_session(number, in_one_frame=False) for number in numbers]
    messages = [hl7_message(number) for number in numbers]
    wrapped = [[b"\x0b" + message + b"\x1c\r"] for message in messages]
    readers: dict[str, Callable[[], float]] = {
        "astm_messages_per_cpu_s": lambda: _driven("astm", "sysmex_xp", whole),
        "x_astm_record_frames_messages_per_cpu_s": lambda: _driven("astm", "sysmex_xp", parted),
        "hl7_lab_messages_per_cpu_s": lambda: _driven("hl7_lab", "mindray_bc", wrapped),
        "python_hl7_messages_per_cpu_s": lambda: _by_the_library(messages),
    }
    spent: dict[str, list[float]] = {name: [] for name in readers}
    measured = dict.fromkeys(readers, float("inf"))
    for _ in range(ROUNDS):
        for name, read in readers.items():
            pace = Pace()
            pace.look(LOOKS)
            seconds = read()
            pace.look(LOOKS)
            measured[name] = min(measured[name], seconds)
            spent[name].append(seconds * pace.ratio)
    return {
        **{name: MESSAGES / statistics.median(rounds) for name, rounds in spent.items()},
        **{f"x_measured_{name.removeprefix('x_')}": MESSAGES / seconds for name, seconds in measured.items()},
    }
