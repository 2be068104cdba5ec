"""What is fuzzed: every parser of the laboratory behind its driver, as the device task calls it; nothing may raise.

One input is: a byte that chooses the profile, a byte that says how the rest is cut, and the bytes of the line. In the
targets `…_text` the rest is the text of frames, and the checksums are made right here: no fuzzer finds one.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from drivers import catalog
from drivers.contract import Output, StreamDriver
from drivers.framing.checksum import sum8
from drivers.framing.e1381 import Receiver, Taken
from drivers.framing.hl7 import Message
from drivers.framing.mllp import Framer
from drivers.observation import from_json, to_json
from drivers.profile import Profile
from drivers.quality import Gate
from tests.contract.cases import cases, stream

FRAME = re.compile(rb"\x02[0-7]([^\x02-\x05\x17]*)[\x03\x17]..\r?\n?")
BCI_FRAME = re.compile(rb"\x1e([^\x1d]*)\x1d")
Target = Callable[[bytes], None]


def _chunks(data: bytes, size: int) -> Iterator[bytes]:
    """In one piece, or in pieces of so many bytes."""
    if not size:
        yield data
        return
    for at in range(0, len(data), size):
        yield data[at : at + size]


@cache
def _profiles(driver: str) -> tuple[Profile, ...]:
    return tuple(catalog.profiles(driver).values())


def _drive(driver: StreamDriver, gate: Gate, data: bytes, size: int) -> None:
    """A session, two silences and a goodbye; what is given out can be told to the platform and read back."""
    now = 0.0

    def take(output: Output) -> None:
        for seen in gate.check(output, now).observations:
            if from_json(to_json(seen)) != seen:
                raise ValueError(f"not the same when it is read back: {seen}")

    take(driver.start(now))
    for chunk in _chunks(data, size):
        take(driver.receive(chunk, now))
        now += 0.01
    for pause in (2.0, 31.0):
        now += pause
        take(driver.wake(now))
    take(driver.stop(now))


def _driver_target(name: str, options: dict[str, object], frame: Callable[[bytes], bytes] | None = None) -> Target:
    def run(data: bytes) -> None:
        if len(data) < 2:
            return
        known = _profiles(name)
        profile = known[data[0] % len(known)]
        line = frame(data[2:]) if frame else data[2:]
        _drive(stream(profile, options), Gate(profile), line, data[1])

    return run


def _e1381(texts: bytes) -> bytes:
    """Frames with the right number and checksum; NUL parts the text of two."""
    frames = []
    for number, text in enumerate(texts.split(b"\x00"), 1):
        body = b"%d" % (number & 7) + text + b"\x03"
        frames.append(b"\x02" + body + b"%02X" % sum8(body) + b"\r\n")
    return b"\x05" + b"".join(frames) + b"\x04"


def _bci(texts: bytes) -> bytes:
    frames = []
    for text in texts.split(b"\x00"):
        body = b"\x1e" + text + b"\x1d"
        frames.append(b"\x05\x02" + body + b"%02x" % sum8(body) + b"\x03\x04")
    return b"".join(frames)


class _Taken:
    """A reader of frames that keeps them, and gives out at each ETX."""

    def __init__(self) -> None:
        self.said: list[object] = ["discard"]

    def take(self, text: bytes, *, is_last: bool) -> Taken:
        self.said.append((text, is_last))
        return "given_out" if is_last else "kept"

    def discard(self) -> None:
        if self.said[-1] != "discard":  # nothing twice is nothing
            self.said.append("discard")


def _link(data: bytes, size: int) -> tuple[object, ...]:
    reader = _Taken()
    link = Receiver(reader)
    for chunk in _chunks(data, size):
        link.feed(chunk, 0.0)
    before = bytes(link.replies), link.frames, link.promised_from, tuple(link.faults), link.deadline
    link.expire(31.0)
    link.expire(62.0)
    return before, bytes(link.replies), tuple(link.faults), tuple(reader.said)


def _e1381_link(data: bytes) -> None:
    """The link layer alone: the same bytes in any split have the same effect."""
    if len(data) > 1 and _link(data[2:], data[1]) != _link(data[2:], 0):
        raise ValueError(f"another effect in pieces of {data[1]} bytes")


def _mllp(data: bytes) -> None:
    """The same of MLLP."""
    if len(data) < 2:
        return
    whole, parted = Framer(500), Framer(500)
    items = whole.feed(data[2:])
    found = [item for chunk in _chunks(data[2:], data[1]) for item in parted.feed(chunk)]
    if (items, whole.drop()) != (found, parted.drop()):
        raise ValueError(f"other messages in pieces of {data[1]} bytes")


def _hl7(data: bytes) -> None:
    """The reader of messages alone: total, and nothing is lost on the way back."""
    message = Message.from_bytes(data[3:].partition(b"\x1c")[0])  # profile, cut, VT
    if isinstance(message, Message):
        again = Message.from_bytes(message.to_bytes("utf-8"), "utf-8")
        if again != message:
            raise ValueError("another message when it is written and read again")


def _control(data: bytes) -> None:
    """A parser with a defect, for the test of the fuzzer itself."""
    if data.startswith(b"\x05\x02"):
        raise ValueError("found")


@dataclass(frozen=True)
class Fuzzed:
    """A target, the driver whose test data are its first corpus, and what its inputs are made of."""

    run: Target
    driver: str = ""
    texts: re.Pattern[bytes] | None = None
    """Where the target makes the frames itself: what of the test data is text."""
    words: tuple[bytes, ...] = ()

    def corpus(self) -> Iterator[bytes]:
        """The test data of the driver."""
        profiles = _profiles(self.driver) if self.driver else ()
        for case in cases():
            if case.profile in profiles:
                line = b"".join(step.data for step in case.received())
                if self.texts:
                    line = b"\x00".join(self.texts.findall(line))
                yield bytes((profiles.index(case.profile), 0)) + line


ASTM_WORDS = (
    *(b"H|\\^&|||", b"H|`^&|||", b"H|@^\\|||", b"P|1\r", b"O|1|S1||^^^GLU\r", b"R|1|^^^GLU|5.5|mmol/L||N||F\r"),
    *(
        b"C|1|I|x\r",
        b"L|1|N\r",
        b"L|1|T\r",
        b"Q|1|",
        b"M|1|REAGENT|",
        b"&F&",
        b"&Z",
        b"\r",
        b"\x17",
        b"\x05",
        b"\x04",
    ),
)
HL7_WORDS = (
    *(b"\x0bMSH|^~\\&|", b"ORU^R01", b"OUL^R22", b"ORU^R32^ORU_R30", b"\rOBR|1|", b"\rOBX|1|NM|", b"\rSPM|1|"),
    *(
        b"\rNTE|1||",
        b"\rORC|",
        b"\x1c\r",
        b"\\X0D\\",
        b"\\F\\",
        b"<^5.0",
        b"|P|2.3.1",
        b"\x02",
        b"99MRC",
        b"GeneXpert",
    ),
)
BCI_WORDS = (
    b"\x1emtrsl|",
    b"\x1ecix|",
    b"\x1ertx|",
    b"\x1eqn1.5 IU/ml|",
    b"\x1eqlPositif|",
    b"\x1etd01/01/26|",
    b"\x1d",
)
BOX_WORDS = (b"\x02", b"\x03", b"\x04", b"\x05", b"\x06", b"\x15", b"\r\n")

TARGETS = {
    "astm": Fuzzed(_driver_target("astm", {}), "astm", None, (*ASTM_WORDS, *BOX_WORDS)),
    "e1381": Fuzzed(_e1381_link, "astm", None, (*ASTM_WORDS, *BOX_WORDS)),
    "astm_text": Fuzzed(_driver_target("astm", {}, _e1381), "astm", FRAME, ASTM_WORDS),
    "hl7_lab": Fuzzed(_driver_target("hl7_lab", {}), "hl7_lab", None, HL7_WORDS),
    "mllp": Fuzzed(_mllp, "hl7_lab", None, (b"\x0b", b"\x1c\r", b"\x1c", b"\x02")),
    "hl7_message": Fuzzed(_hl7, "hl7_lab", None, HL7_WORDS),
    "horiba_abx": Fuzzed(_driver_target("horiba_abx", {}), "horiba_abx", None, (b"\xff RESULT\r", *BOX_WORDS)),
    "biomerieux_bci": Fuzzed(_driver_target("biomerieux_bci", {}), "biomerieux_bci", None, (*BCI_WORDS, *BOX_WORDS)),
    "biomerieux_bci_text": Fuzzed(
        _driver_target("biomerieux_bci", {"date_order": "dmy"}, _bci), "biomerieux_bci", BCI_FRAME, BCI_WORDS
    ),
    "sysmex_kx": Fuzzed(_driver_target("sysmex_kx", {"protocol_class": "B"}), "sysmex_kx", None, BOX_WORDS),
    "mindray_bc_serial": Fuzzed(_driver_target("mindray_bc_serial", {}), "mindray_bc_serial", None, BOX_WORDS),
    "beckman_au": Fuzzed(
        _driver_target("beckman_au", {"bcc": False, "units": {"10": "mmol/L"}}), "beckman_au", None, BOX_WORDS
    ),
}
CONTROL = Fuzzed(_control, words=BOX_WORDS)
