"""What a monitor sends, written from the page's layout and not with the driver's own encoder."""

STAMP = bytes.fromhex("20 26 11 24 14 30 15 00")
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


def result(  # noqa: PLR0913 (as many as the layout has)
    *objects: bytes,
    kind: int = 6,
    action: int = 0xF13B,
    part: int = 0,
    count: int = 0,
    relative: int = 8000,
    stamp: bytes = STAMP,
) -> bytes:
    """A frame with a poll result, or a part of one."""
    contexts = big(0) + sized(b"".join(objects), len(objects))
    sequence = big(7) if action == 0xF13B else b""
    reply = big(1) + sequence + big(relative, 4) + stamp + big(1) + big(kind) + big(0) + sized(contexts, 1)
    body = big(1) + big(7) + sized(bytes.fromhex("00 21 00 00 00 00") + big(action) + sized(reply))
    return frame(data(5, bytes([part, count]) + body) if part else data(2, body))


ACCEPTED, REFUSED = frame(bytes.fromhex("0E 04 01 02 03 04")), frame(bytes.fromhex("0C 02 00 00"))
RELEASED, ABORTED = frame(bytes.fromhex("0A 02 00 00")), frame(bytes.fromhex("19 02 00 00"))


def create(invoke: int = 1, event: int = 0x0D06, command: int = 1, lead: bytes = bytes(6)) -> bytes:
    """The MDS-Create of a monitor that says its model and its number."""
    named = (ava(0x0928, big(8) + b"Philips\0" + big(6) + b"M8004A"), ava(0x092D, big(10) + b"DE12345678"))
    information = lead + sized(b"".join(named), len(named))
    report = bytes.fromhex("00 21 00 00 00 00") + big(8000, 4) + big(event) + sized(information)
    return frame(data(1, big(invoke) + big(command) + sized(report)))


def refusal() -> bytes:
    """A remote operation error."""
    return frame(data(3, big(1) + big(10) + sized(b"")))


def array(physio: int, samples: list[int], state: int = PLAIN_STATE) -> bytes:
    """The value of attribute 096E."""
    return big(physio) + big(state) + sized(b"".join(map(big, samples)))


def curve(physio: int, samples: list[int], *, state: int = PLAIN_STATE, with_scale: bool = True) -> bytes:
    """An object with a sample array of 16 ms a sample, 12 bits, 0 to 4095 as 0 to 4095 tenths."""
    scales = (
        ava(0x096D, big(len(samples)) + b"\x10\x0c" + big(0)),
        ava(0x096F, real(0, -1) + real(4095, -1) + big(0) + big(4095)),
        ava(0x098D, big(128, 4)),
    )
    return polled(*(scales if with_scale else ()), ava(0x096E, array(physio, samples, state)), handle=physio)


HR, SPO2, MMHG, KPA, BPM, PERCENT = 0x4182, 0x4BB8, 0x0F20, 0x0F03, 0x0AA0, 0x0220
USUAL = (
    numeric(HR, BPM, real(72)),
    numeric(SPO2, PERCENT, bytes.fromhex("FD 01 7D B8")),
)
