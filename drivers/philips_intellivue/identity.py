"""Who a monitor is, out of the attributes of its MDS and of its beacon.

    0928  system model     │ length 2 │ manufacturer │ length 2 │ model number │
    092D  production       │ count 2 │ length 2 │ kind 2 │ component 2 │ length 2 │ text │ kind … │

Texts are of 8 bits and even length, and may end in zeros. mdpnp, SystemModel and ProductionSpecification; Philips,
Data Export Interface Programming Guide, attributes System Model and Production Specification.
"""

import struct
from collections.abc import Iterator

from drivers.philips_intellivue.pdus import Attributes, Malformed

_MODEL, _PRODUCTION = 0x0928, 0x092D
_PRODUCT, _SOFTWARE = 0x0008, 0x0058
"""Components: the whole, and its application software."""
_NAMES = {(1, _PRODUCT): "serial", (2, _PRODUCT): "part", (4, _PRODUCT): "software", (4, _SOFTWARE): "software"}
"""Kind and component to our word: serial number, part number, software revision."""
_LENGTH, _PAIR = struct.Struct(">H"), struct.Struct(">HH")
LONGEST = 32
"""Of a text: the longest that the guide names has 14 characters."""


def identity_of(attributes: Attributes) -> dict[str, str]:
    """What of model, serial number, part number and software is there; what does not close says nothing."""
    found: dict[str, str] = {}
    for number, parse in ((_MODEL, _model), (_PRODUCTION, _production)):
        try:
            found.update(list(parse(attributes[number])) if number in attributes else ())
        except (struct.error, Malformed):
            continue
    return {name: text for name, text in found.items() if text}


def _model(data: bytes) -> Iterator[tuple[str, str]]:
    maker, rest = _label(data)
    model, _rest = _label(rest)
    yield "model", f"{maker} {model}".strip()


def _production(data: bytes) -> Iterator[tuple[str, str]]:
    count, length = _PAIR.unpack_from(data)
    rest = data[_PAIR.size :]
    if len(rest) != length:
        raise Malformed
    for _entry in range(count):
        kind = _PAIR.unpack_from(rest)
        text, rest = _label(rest[_PAIR.size :])
        if kind in _NAMES:
            yield _NAMES[kind], text
    if rest:
        raise Malformed


def _label(data: bytes) -> tuple[str, bytes]:
    (length,) = _LENGTH.unpack_from(data)
    end = _LENGTH.size + length
    if len(data) < end:
        raise Malformed
    text = data[_LENGTH.size : end].rstrip(b"\0 ")
    printable = bytes(byte if 0x20 <= byte < 0x7F else 0x3F for byte in text[:LONGEST])  # noqa: PLR2004 (ASCII)
    return printable.decode("ascii"), data[end:]
