"""Packets of a BIS monitor written from the document's layout, not with the driver's own encoder."""

NOTHING = -32768
NAMES = ("bsr", "sef95", "debug", "bis", "alt", "alt2", "power", "emg", "sqi", "artefact")
USUAL = (0, 1850, 0, 453, 450, 449, 6210, 2950, 970, 0)
INFORMATION = bytes(range(24))


def little(value: int, size: int) -> bytes:
    """A number as it is sent."""
    return (value % (1 << 8 * size)).to_bytes(size, "little")


def packet(payload: bytes = b"", directive: int = 1, sequence: int = 0) -> bytes:
    """A whole packet with its sum."""
    body = little(sequence, 2) + little(len(payload), 2) + little(directive, 2) + payload
    return b"\xba\xab" + body + little(sum(body), 2)


def message(number: int, data: bytes = b"") -> bytes:
    """A data packet."""
    return packet(little(4, 4) + little(number, 4) + little(0, 2) + little(len(data), 2) + data)


def trends(**changed: int) -> bytes:
    """One set."""
    values = [changed.get(name, usual) for name, usual in zip(NAMES, USUAL, strict=True)]
    return b"".join(little(v, 2) for v in values[:8]) + b"".join(little(v, 4) for v in values[8:])


NONE = trends(**dict.fromkeys(NAMES, NOTHING))


def processed(first: bytes = NONE, second: bytes = NONE, both: bytes = trends()) -> bytes:
    """A whole message 34H."""
    impedances = b"".join(little(v, 2) for v in (7, 1, 8, 2))
    settings = b"".join(little(v, 4) for v in (1, 2, 3, 4))
    return message(0x34, INFORMATION + impedances + settings + first + second + both)
