"""Bytes that no device should send, for every driver alike; made from its own frames where it has test data."""

import random

from drivers.profile import Profile
from tests.contract.cases import wires

OPENERS = b"\x00\x01\x02\x05\x0b\x10\x1b\x7e\x7f\xaa\xfe\xff"
"""What protocols of this field open frames with."""


def random_bytes(size: int, seed: int = 1) -> bytes:
    """The same random bytes for the same seed."""
    return random.Random(seed).randbytes(size)


def start_bytes(profile: Profile) -> bytes:
    """Each byte a frame of the profile may begin with: the field's, and its own test data's."""
    return bytes(sorted({*OPENERS, *(wire[0] for wire in wires(profile) if wire)}))


def kinds(profile: Profile, size: int) -> dict[str, bytes]:
    """Noise by name, each of `size` bytes."""
    found = {"random": random_bytes(size), "printable": bytes(32 + b % 95 for b in random_bytes(size))}
    for byte in start_bytes(profile):
        found[f"repeated {byte:02x}"] = bytes([byte]) * size
    for number, half in enumerate(_halves(profile)):
        found[f"endless frame {number}"] = (half + b"0" * size)[:size]
    return found


def torn(profile: Profile, size: int) -> dict[str, bytes]:
    """Recordings that begin again and again and never end: not noise, much of it is whole frames."""
    return {f"torn {n}": (half * (size // len(half) + 1))[:size] for n, half in enumerate(_halves(profile))}


def _halves(profile: Profile) -> list[bytes]:
    """The first halves of a few recordings, the longest and the shortest ones."""
    by_length = sorted((wire for wire in wires(profile) if len(wire) > 1), key=len)
    return [wire[: len(wire) // 2] for wire in dict.fromkeys(by_length[:2] + by_length[-2:])]


def mutated(wire: bytes, seed: int) -> bytes:
    """A frame of the device after a bad day: bits flipped, bytes lost, doubled, pieces exchanged."""
    chance = random.Random(seed)
    data = bytearray(wire)
    for _turn in range(chance.randint(1, 8)):
        at = chance.randrange(len(data)) if data else 0
        match chance.randrange(5):
            case 0 if data:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                del data[at : at + chance.randint(1, 16)]
            case 2:
                data[at:at] = data[at : at + chance.randint(1, 16)]
            case 3:
                data[at:at] = chance.randbytes(chance.randint(1, 16))
            case _:
                data = data[at:] + data[:at]
    return bytes(data)
