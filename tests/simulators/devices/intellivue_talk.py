"""A box that talks to the IntelliVue simulator, and takes its answers apart with code of its own."""

import struct
from typing import NamedTuple

from simulators.devices.philips_intellivue import PhilipsIntellivue

REQUEST_HEAD = bytes.fromhex(
    "31 80 A0 80 80 01 01 00 00 A2 80 A0 03 00 00 01 A4 80 30 80 02 01 01 06 04 52 01 00 01 30 80 06 02 51"
    " 01 00 00 00 00 30 80 02 01 02 06 0C 2A 86 48 CE 14 02 01 00 00 00 01 01 30 80 06 0C 2A 86 48 CE 14 02"
    " 01 00 00 00 02 01 00 00 00 00 00 00 61 80 30 80 02 01 01 A0 80 60 80 A1 80 06 0C 2A 86 48 CE 14 02 01"
    " 00 00 00 03 01 00 00 BE 80 28 80 06 0C 2A 86 48 CE 14 02 01 00 00 00 01 01 02 01 02 81"
)
RELEASE = bytes.fromhex("09 18 C1 16 61 80 30 80 02 01 01 A0 80 62 80 80 01 00 00 00 00 00 00 00 00 00")
KEEP_ALIVE = bytes.fromhex(
    "E1 00 00 02 00 01 00 1C 00 01 00 07 00 16 00 21 00 00 00 00 00 00 00 00 0C 16 00 08 00 01 00 01 00 21 08 0C"
)
NUMERICS, CURVES, ENUMERATIONS, MDS, PATIENT, ALARMS = 0x06, 0x09, 0x0A, 0x21, 0x2A, 0x36


def request(period: int = 0x9C4, mtu: int = 1456, options: int = 0x8C000000) -> bytes:
    """An association request as the known clients word it."""
    profile = struct.pack(">6I", 0x80000000, period, mtu, mtu, 0xFFFFFFFF, 0x60000000)
    profile += struct.pack(">HHHHII", 1, 12, 0xF001, 8, options, 0)
    user = struct.pack(">5IHH", 0x80000000, 0x40000000, 0, 0x80000000, 0x20000000, 0, 0)
    user += struct.pack(">HHHH", 1, len(profile) + 4, 1, len(profile)) + profile
    body = REQUEST_HEAD + bytes([len(user)]) + user + bytes(16)
    session = bytes.fromhex("05 08 13 01 00 16 01 02 80 00 14 02 00 02") + b"\xc1" + bytes([len(body)])
    return b"\x0d" + bytes([len(session) + len(body)]) + session + body


def poll(kind: int, seconds: float = 0, invoke: int = 1, number: int = 1, is_extended: bool = False) -> bytes:
    """A poll; an extended one when it shall last."""
    body = struct.pack(">HHHH", number, 1, kind, 0)
    action = 0x0C16
    if seconds or is_extended:
        action = 0xF13B
        body += struct.pack(">HHHHI", 1, 8, 0xF13E, 4, round(seconds * 8000)) if seconds else bytes(4)
    inner = struct.pack(">HHHIHH", 0x21, 0, 0, 0, action, len(body)) + body
    return operation(1, invoke, 7, inner)


def operation(kind: int, invoke: int, command: int, inner: bytes) -> bytes:
    return b"\xe1\x00\x00\x02" + struct.pack(">HHHHH", kind, len(inner) + 6, invoke, command, len(inner)) + inner


def confirm(creation: bytes) -> bytes:
    """The answer to MDS create."""
    (invoke,) = struct.unpack_from(">H", creation, 8)
    return operation(2, invoke, 1, bytes.fromhex("00 21 00 00 00 00 00 0A BD 00 0D 06 00 00"))


def crc(data: bytes) -> int:
    register = 0xFFFF
    for byte in data:
        for bit in range(8):
            odd = (register ^ byte >> bit) & 1
            register = register >> 1 ^ odd * 0x8408
    return register ^ 0xFFFF


def frame(payload: bytes) -> bytes:
    inside = b"\x11\x01" + len(payload).to_bytes(2, "big") + payload
    inside += crc(inside).to_bytes(2, "little")
    for byte in (0x7D, 0xC0, 0xC1):
        inside = inside.replace(bytes([byte]), bytes([0x7D, byte ^ 0x20]))
    return b"\xc0" + inside + b"\xc1"


def payloads(heard: bytes) -> list[bytes]:
    """The payloads of undamaged frames."""
    out = []
    for piece in heard.split(b"\xc0")[1:]:
        inside = piece.partition(b"\xc1")[0]
        if inside.endswith(b"\x7d"):
            continue
        for byte in (0xC0, 0xC1, 0x7D):
            inside = inside.replace(bytes([0x7D, byte ^ 0x20]), bytes([byte]))
        if len(inside) > 6 and crc(inside[:-2]) == int.from_bytes(inside[-2:], "little"):
            out.append(inside[4:-2])
    return out


class Reply(NamedTuple):
    """A poll result, or a part of one."""

    link: tuple[int, int] | None
    invoke: int
    sequence: int | None
    ticks: int
    time: bytes
    kind: int
    objects: dict[int, dict[int, bytes]]


def reply(payload: bytes) -> Reply:
    """A result taken apart; every length is checked."""
    operation_kind, size = struct.unpack_from(">HH", payload, 4)
    assert size == len(payload) - 8
    link, at = None, 8
    if operation_kind == 5:
        link, at = (payload[8], payload[9]), 10
    else:
        assert operation_kind == 2
    invoke, command, size = struct.unpack_from(">HHH", payload, at)
    assert (command, size) == (7, len(payload) - at - 6)
    action, size = struct.unpack_from(">HH", payload, at + 12)
    assert size == len(payload) - at - 16
    at += 18
    sequence = None
    if action == 0xF13B:
        (sequence,) = struct.unpack_from(">H", payload, at)
        at += 2
    ticks, time, _, kind, _, contexts, size = struct.unpack_from(">I8sHHHHH", payload, at)
    at += 22
    assert size == len(payload) - at
    objects = {}
    for _ in range(contexts):
        _, count, size = struct.unpack_from(">HHH", payload, at)
        at += 6
        for _ in range(count):
            handle, number, size = struct.unpack_from(">HHH", payload, at)
            objects[handle] = attributes(payload[at + 6 : at + 6 + size], number)
            at += 6 + size
    assert at == len(payload)
    return Reply(link, invoke, sequence, ticks, time, kind, objects)


def attributes(data: bytes, count: int) -> dict[int, bytes]:
    out, at = {}, 0
    for _ in range(count):
        code, size = struct.unpack_from(">HH", data, at)
        out[code] = data[at + 4 : at + 4 + size]
        at += 4 + size
    assert at == len(data)
    return out


def values(said: Reply) -> dict[int, tuple[int, int, int, int]]:
    """Physio id → state, unit, exponent and mantissa of all numerics."""
    out = {}
    for found in said.objects.values():
        items = []
        if 0x0950 in found:
            items = [found[0x0950]]
        elif 0x094B in found:
            count, size = struct.unpack_from(">HH", found[0x094B])
            assert size == count * 10
            items = [found[0x094B][4 + 10 * place : 14 + 10 * place] for place in range(count)]
        for item in items:
            physio, state, unit, exponent = struct.unpack_from(">HHHb", item)
            out[physio] = (state, unit, exponent, int.from_bytes(item[7:], "big", signed=True))
    return out


class Box:
    """Talks over the serial line, one thing at a time."""

    def __init__(self, seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> None:
        self.device = PhilipsIntellivue(seed, faults, options)
        self.now = 100.0
        self.device.wake(self.now)

    def say(self, payload: bytes, wait_s: float = 0.5) -> list[bytes]:
        """Payloads that come within `wait_s`."""
        return payloads(self.device.receive(frame(payload), self.now) + self.listen(wait_s))

    def listen(self, wait_s: float) -> bytes:
        """Let time pass."""
        heard = b""
        end = self.now + wait_s
        while self.now < end:
            self.now = min(end, self.now + 0.25)
            heard += self.device.wake(self.now)
        return heard

    def associate(self, ask: bytes = b"") -> list[bytes]:
        """The usual beginning; returns what the monitor said."""
        said = self.say(ask or request())
        if len(said) > 1 and said[1][:1] == b"\xe1":
            self.say(confirm(said[1]))
        return said

    def follow(self, seconds: float) -> list[Reply]:
        """Replies over a while, with a keep-alive each five seconds; those to it are left out."""
        out: list[Reply] = []
        for _ in range(max(1, round(seconds / 5))):
            said = self.say(KEEP_ALIVE, 5.0)
            out += [reply(payload) for payload in said if payload[:1] == b"\xe1"]
        return [said for said in out if said.kind != MDS]


def known(seed: int = 1, **options: str) -> Box:
    """A box that the monitor knows."""
    box = Box(seed, frozenset(), **options)
    box.associate()
    assert box.device.is_known
    return box


def one(box: Box, kind: int) -> Reply:
    return reply(box.say(poll(kind))[0])
