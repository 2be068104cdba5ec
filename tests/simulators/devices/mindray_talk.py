"""A box that talks to the Mindray simulator: its query, its echo, and the messages it hears."""

import re

from simulators.devices.mindray_pds import MindrayPds

ECHO = b"\x0bMSH|^~\\&|||||||ORU^R01|106|P|2.3.1|\r\x1c\r"
HEAD = "MSH|^~\\&|||||||QRY^R02|1203|P|2.3.1\rQRD|20060731145557|R|I|Q895211|||||RES\r"
QUERY_TEXT = HEAD + (
    "QRF|MON||||0&0^1^1^0^101&151&160&161\r"
    "QRF|MON||||0&0^1^1^0^170&171&172&200\r"
    "QRF|MON||||0&0^3^1^1^\r"
    "QRF|MON||||0&0^4^1^1^\r"
)


def framed(text: str) -> bytes:
    return b"\x0b" + text.encode() + b"\x1c\r"


QUERY = framed(QUERY_TEXT)


def linked(seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> MindrayPds:
    device = MindrayPds(seed, faults, options)
    device.disconnected(0.0)
    device.connected(100.0)
    return device


def live(device: MindrayPds, start: float, seconds: int) -> bytes:
    """So many seconds of a box that says its echo."""
    heard = b""
    for second in range(seconds):
        heard += device.receive(ECHO, start + second)
        heard += device.wake(start + second + 0.99)
    return heard


def asked(device: MindrayPds, query: bytes = QUERY, seconds: int = 60) -> bytes:
    heard = live(device, 100.0, 2)
    heard += device.receive(query, 102.0)
    return heard + live(device, 102.0, seconds)


def bodies(heard: bytes, kind: str) -> list[str]:
    """The segments behind MSH of each message of one kind."""
    out = []
    for body in re.findall(rb"\x0b(.*?)\x1c\r", heard, re.DOTALL):
        head, _, rest = body.decode("utf-8").partition("\r")
        if head.split("|")[9] == kind:
            out.append(rest)
    return out
