"""The time, asked of the platform and answered under the acknowledgement key, which the broker does not have.

A box asks on `jisr/v1/<site>/<gateway>/time` with a nonce it never used before; the platform answers on `ack/time`.
The answer is good for that one question of that one box: an old one, or another box's, has another nonce or MAC.
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from gateway.uplink.envelope import Malformed

TIME_LIMIT_BYTES = 1024
_NONCE = re.compile(r"[0-9a-f]{32}")
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class TimeRequest(Struct, frozen=True):
    """What time is it? The nonce is 16 random bytes as 32 hexadecimal digits."""

    nonce: str
    v: int = 1


class TimeAnswer(Struct, frozen=True):
    """It is `utc` (`YYYY-MM-DDTHH:MM:SS.mmmZ`); the MAC says so to that box, for that nonce."""

    nonce: str
    utc: str
    mac: str = ""


_REQUESTS = msgspec.json.Decoder(TimeRequest)
_ANSWERS = msgspec.json.Decoder(TimeAnswer)


def decode_time_request(payload: bytes) -> TimeRequest:
    """A question whose nonce is one: nothing else is ever signed. Raises `Malformed`."""
    _check_size(payload)
    try:
        asked = _REQUESTS.decode(payload)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Malformed("not_a_time_request") from error
    if not _NONCE.fullmatch(asked.nonce):
        raise Malformed("nonce")
    return asked


def decode_time_answer(payload: bytes) -> TimeAnswer:
    """An answer; its MAC is checked apart. Raises `Malformed`."""
    _check_size(payload)
    try:
        return _ANSWERS.decode(payload)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Malformed("not_a_time_answer") from error


def _check_size(payload: bytes) -> None:
    if len(payload) > TIME_LIMIT_BYTES:
        raise Malformed("too_large")


def parse_utc(text: str) -> float:
    """Seconds since 1970. Raises `Malformed`."""
    if not _UTC.fullmatch(text):
        raise Malformed("utc")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise Malformed("utc") from error


def _mac(key: bytes, site: str, gateway: str, nonce: str, utc: str) -> str:
    said = f"jisr-time-1\n{site}\n{gateway}\n{nonce}\n{utc}"
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()


def sign_time(key: bytes, site: str, gateway: str, nonce: str, wall_s: float) -> TimeAnswer:
    """The platform's answer."""
    moment = datetime.fromtimestamp(wall_s, UTC)
    utc = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
    return TimeAnswer(nonce, utc, _mac(key, site, gateway, nonce, utc))


def verify_time(key: bytes, site: str, gateway: str, answer: TimeAnswer) -> bool:
    """Whether the MAC is that of this key over this site, gateway, nonce and time."""
    right = _mac(key, site, gateway, answer.nonce, answer.utc)
    return hmac.compare_digest(right.encode(), answer.mac.encode())
