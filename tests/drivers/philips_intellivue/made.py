"""What a monitor sends, written from the page's layout and not with the driver's own encoder."""

from typing import Any

STAMP = bytes.fromhex("20 26 11 24 14 30 15 00")
NO_STAMP = b"\xff" * 8
"""What an extended result has in the place of the time."""
PLAIN_STATE = 0x0000


def big(value: int, size: int = 2) -> bytes:
    """A number as it is sent."""
    return (value % (1 << 8 * size)).to_bytes(size, "big")


def fcs(data: bytes) -> int:
    """CRC-16/X-25, bit by bit."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _bit in range(8):
            crc = (crc >> 1) ^ 0x8408 if crc & 1 else crc >> 1
    return crc ^ 0xFFFF


def stuffed(data: bytes) -> bytes:
    """Flags and escapes inside a frame."""
    return b"".join(bytes([0x7D, byte ^ 0x20]) if byte in (0xC0, 0xC1, 0x7D) else bytes([byte]) for byte in data)


def frame(payload: bytes) -> bytes:
    """A whole frame."""
    plain = b"\x11\x01" + big(len(payload)) + payload
    return b"\xc0" + stuffed(plain + fcs(plain).to_bytes(2, "little")) + b"\xc1"


def sized(data: bytes, count: int | None = None) -> bytes:
    """Count, if there is one, length, and the bytes."""
    return (b"" if count is None else big(count)) + big(len(data)) + data


def ava(number: int, value: bytes) -> bytes:
    """One attribute."""
    return big(number) + sized(value)


def polled(*attributes: bytes, handle: int = 1) -> bytes:
    """One object."""
    return big(handle) + sized(b"".join(attributes), len(attributes))


def real(mantissa: int, exponent: int = 0) -> bytes:
    """A FLOAT."""
    return big(exponent, 1) + big(mantissa, 3)


NAN = bytes.fromhex("00 7F FF FF")


def value(physio: int, unit: int, number: bytes, state: int = PLAIN_STATE) -> bytes:
    """The value of attribute 0950."""
    return big(physio) + big(state) + big(unit) + number


def numeric(physio: int, unit: int, number: bytes, state: int = PLAIN_STATE) -> bytes:
    """An object with one number."""
    return polled(ava(0x0950, value(physio, unit, number, state)), handle=physio)


def nibp(*numbers: int, stamp: bytes = STAMP, state: int = PLAIN_STATE, unit: int = 0x0F20) -> bytes:
    """The compound of a cuff: systolic, diastolic, mean, and its own time."""
    listed = [value(0x4A05 + n, unit, real(number), state) for n, number in enumerate(numbers)]
    return polled(ava(0x094B, sized(b"".join(listed), len(listed))), ava(0x0990, stamp), handle=99)


def data(kind: int, body: bytes) -> bytes:
    """A data PDU."""
    return bytes.fromhex("E1 00 00 02") + big(kind) + sized(body)


POLLED = {0x21: (1, 1), 6: (3, 2), 9: (4, 3), 0x36: (5, 4), 5: (6, 5)}
"""Type of object to the invoke id and the number of the poll, as the box asks for it."""


def result_pdu(  # noqa: PLR0913 (as many as the layout has)
    *objects: bytes,
    kind: int = 6,
    action: int = 0xF13B,
    part: int = 0,
    count: int = 0,
    relative: int = 8000,
    stamp: bytes = STAMP,
    sequence: int = 7,
    ids: tuple[int, int] | None = None,
    context: int = 0,
) -> bytes:
    """A poll result, or a part of one."""
    invoke, number = ids or POLLED.get(kind, (1, 1))
    contexts = big(context) + sized(b"".join(objects), len(objects))
    running = big(sequence) if action == 0xF13B else b""
    reply = big(number) + running + big(relative, 4) + stamp + big(1) + big(kind) + big(0) + sized(contexts, 1)
    body = big(invoke) + big(7) + sized(bytes.fromhex("00 21 00 00 00 00") + big(action) + sized(reply))
    return data(5, bytes([part, count]) + body) if part else data(2, body)


def result(*objects: bytes, **more: Any) -> bytes:
    """A frame with a poll result, or a part of one."""
    return frame(result_pdu(*objects, **more))


_ASKED = (
    "0D EC 05 08 13 01 00 16 01 02 80 00 14 02 00 02 C1 DC 31 80 A0 80 80 01 01 00 00 A2 80 A0 03 00 00 01 A4 80"
    "30 80 02 01 01 06 04 52 01 00 01 30 80 06 02 51 01 00 00 00 00 30 80 02 01 02 06 0C 2A 86 48 CE 14 02 01 00"
    "00 00 01 01 30 80 06 0C 2A 86 48 CE 14 02 01 00 00 00 02 01 00 00 00 00 00 00 61 80 30 80 02 01 01 A0 80 60"
    "80 A1 80 06 0C 2A 86 48 CE 14 02 01 00 00 00 03 01 00 00 BE 80 28 80 06 0C 2A 86 48 CE 14 02 01 00 00 00 01"
    "01 02 01 02 81"
)
_GRANTED = (
    "31 80 A0 80 80 01 01 00 00 A2 80 A0 03 00 00 01 A5 80 30 80 80 01 00 81 02 51 01 00 00 30 80 80 01 00 81 0C"
    "2A 86 48 CE 14 02 01 00 00 00 02 01 00 00 00 00 61 80 30 80 02 01 01 A0 80 61 80 A1 80 06 0C 2A 86 48 CE 14"
    "02 01 00 00 00 03 01 00 00 A2 03 02 01 00 A3 05 A1 03 02 01 00 BE 80 28 80 02 01 02 81"
)


def user_info(period: int, rx: int, tx: int, options: int, system: int) -> bytes:
    """What a request asks for, or an answer grants."""
    package = ava(0xF001, big(options, 4) + big(0, 4))
    words = [0x80000000, period, rx, tx, 0xFFFFFFFF, 0x60000000]
    profile = ava(1, b"".join(big(word, 4) for word in words) + sized(package, 1))
    head = b"".join(big(word, 4) for word in (0x80000000, 0x40000000, 0, system, 0x20000000))
    return head + big(0, 4) + sized(profile, 1)


def request_pdu(period: int = 2500, rx: int = 1000, tx: int = 1000, options: int = 0x84000000) -> bytes:
    """The association request: the bytes of public programs, and the user info."""
    info = user_info(period, rx, tx, options, 0x80000000)
    return bytes.fromhex(_ASKED) + big(len(info), 1) + info + bytes(16)


def accepted_pdu(
    period: int = 2500, options: int = 0x84000000, system: int = 0x00800000, form: bytes = b"\x02\x01\x02\x81"
) -> bytes:
    """What a monitor answers: the bytes of the guide, and the user info."""
    info = user_info(period, 1000, 1000, options, system)
    head = bytes.fromhex(_GRANTED)[:-4] + form
    shown = head + big(len(info), 1) + info + bytes(16)
    body = bytes.fromhex("05 08 13 01 00 16 01 02 80 00 14 02 00 02 C1") + big(len(shown), 1) + shown
    return b"\x0e" + big(len(body), 1) + body


RELEASED_PDU = bytes.fromhex("0A 18 C1 16 61 80 30 80 02 01 01 A0 80 63 80 80 01 00 00 00 00 00 00 00 00 00")
ABORTED_PDU = bytes.fromhex(
    "19 2E 11 01 03 C1 29 A0 80 A0 80 30 80 02 01 01 06 02 51 01 00 00 00 00 61 80 30 80 02 01 01 A0 80 64 80 80"
    "01 01 00 00 00 00 00 00 00 00 00 00"
)
REFUSED_PDU = bytes.fromhex("0C 03 32 01 00")
ACCEPTED, REFUSED = frame(accepted_pdu()), frame(REFUSED_PDU)
RELEASED, ABORTED = frame(RELEASED_PDU), frame(ABORTED_PDU)


def label(text: bytes) -> bytes:
    """A text of the MDS."""
    return sized(text)


def production(*entries: tuple[int, int, bytes]) -> bytes:
    """The value of attribute 092D: kind, component and text of each."""
    listed = [big(kind) + big(component) + label(text) for kind, component, text in entries]
    return sized(b"".join(listed), len(listed))


MODEL = label(b"Philips\0") + label(b"M8004A")
NUMBERS = production((1, 8, b"DE12345678"), (2, 8, b"M8004A\0\0"), (4, 0x58, b"G.01.75\0"), (3, 0x50, b"A.00.01\0"))


def create_pdu(  # noqa: PLR0913 (as many as the layout has)
    invoke: int = 1,
    event: int = 0x0D06,
    command: int = 1,
    more: tuple[bytes, ...] = (),
    lead: bytes = bytes(6),
    numbers: bytes = NUMBERS,
) -> bytes:
    """The MDS-Create of a monitor that says its model, its numbers and its clock."""
    named = (ava(0x0928, MODEL), ava(0x092D, numbers), ava(0x0987, STAMP), *more)
    information = lead + sized(b"".join(named), len(named))
    report = bytes.fromhex("00 21 00 00 00 00") + big(8000, 4) + big(event) + sized(information)
    return data(1, big(invoke) + big(command) + sized(report))


def create(invoke: int = 1, event: int = 0x0D06, command: int = 1, **more: Any) -> bytes:
    """The same in a frame."""
    return frame(create_pdu(invoke, event, command, **more))


def refusal(invoke: int = 1) -> bytes:
    """A remote operation error."""
    return frame(data(3, big(invoke) + big(10) + sized(b"")))


def alarm(  # noqa: PLR0913 (as many as the layout has)
    source: int, code: int, kind: int, text: str = "", state: int = 0, handle: int = 1, form: int = 0x0204
) -> bytes:
    """An entry of an alarm list."""
    letters = text.encode("utf-16-be") + bytes(2)
    info = big(1) + big(0x0001_0000 + code, 4) + big(1) + big(0) + (sized(letters) if form == 0x0204 else b"")
    head = big(source) + big(code) + big(kind) + big(state) + big(6) + big(0) + big(handle) + big(form)
    return head + sized(info)


def alarms(patient: list[bytes] | None = None, technical: list[bytes] | None = None, state: int | None = 0) -> bytes:
    """The object of the alert monitor; a list that is None is not there."""
    named = []
    if state is not None:
        named.append(ava(0x0916, big(state) + bytes(8)))
    for number, listed in ((0x0902, patient), (0x0904, technical)):
        if listed is not None:
            named.append(ava(number, sized(b"".join(listed), len(listed))))
    return polled(*named, handle=0x0137)


def enumeration(physio: int, code: int, state: int = PLAIN_STATE) -> bytes:
    """An object with one word."""
    return polled(ava(0x099E, big(physio) + big(state) + big(1) + sized(big(code))), handle=physio)


def array(physio: int, samples: list[int], state: int = PLAIN_STATE) -> bytes:
    """The value of attribute 096E."""
    return big(physio) + big(state) + sized(b"".join(map(big, samples)))


def curve(
    physio: int,
    samples: list[int],
    *,
    state: int = PLAIN_STATE,
    with_scale: bool = True,
    more: tuple[bytes, ...] = (),
) -> bytes:
    """An object with a sample array of 16 ms a sample, 12 bits, 0 to 4095 as 0 to 4095 tenths."""
    scales = (
        ava(0x096D, big(len(samples)) + b"\x10\x0c" + big(0)),
        ava(0x096F, real(0, -1) + real(4095, -1) + big(0) + big(4095)),
        ava(0x098D, big(128, 4)),
    )
    return polled(*(scales if with_scale else ()), *more, ava(0x096E, array(physio, samples, state)), handle=physio)


HR, SPO2, MMHG, KPA, BPM, PERCENT = 0x4182, 0x4BB8, 0x0F20, 0x0F03, 0x0AA0, 0x0220
USUAL = (
    numeric(HR, BPM, real(72)),
    numeric(SPO2, PERCENT, bytes.fromhex("FD 01 7D B8")),
)
