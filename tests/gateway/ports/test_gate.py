"""Law 3 at its choke point: nothing passes that is not allowed, and never more often than stated."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.profile import Allowed
from gateway.ports.gate import GatedPort, SendGate

NOP = bytes.fromhex("1b3034420d")
ALLOW = (
    Allowed("NOP", hex="1B 30 34 42 0D"),
    Allowed("echo", pattern=r"\x01[\x21-\x7e][0-9A-F]{2}\r", check="sum8"),
    Allowed("channel", pattern=r"RCCO[0-9]{3}[0-9A-F]{2}\x04", check="xor8"),
)


def gate(max_per_minute: int = 10, *, may_send: bool = True) -> SendGate:
    return SendGate(ALLOW, max_per_minute, may_send=may_send)


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (NOP, "sent"),
        (NOP + NOP, "sent"),
        (b"\x01$25\r", "sent"),
        (b"RCCO2002F\x04", "sent"),
        (b"RCCO200FF\x04", "not_allowed"),
        (b"\x01$FF\r", "not_allowed"),
        (NOP + b"\x01$26\r", "not_allowed"),
        (NOP + b"\x01$25\r", "sent"),
        (NOP[:-1], "not_allowed"),
        (NOP + b"x", "not_allowed"),
        (b"", "not_allowed"),
        (b"\x1bU70\r", "not_allowed"),
        (b"\x01$25\r\n", "not_allowed"),
    ],
)
def test_only_whole_allowed_frames_pass(data: bytes, verdict: str) -> None:
    assert gate().judge(data, 0.0) == verdict


def test_nothing_passes_before_a_person_said_so() -> None:
    assert gate(may_send=False).judge(NOP, 0.0) == "listen_only"


def test_an_empty_allow_list_allows_nothing() -> None:
    assert SendGate((), 10, may_send=True).judge(NOP, 0.0) == "not_allowed"


def test_unverified_bytes_silence_until_resumed() -> None:
    quiet = gate()
    quiet.silence()
    assert quiet.judge(NOP, 0.0) == "silenced"
    quiet.resume()
    assert quiet.judge(NOP, 0.0) == "sent"


def test_rate_counts_frames_not_writes() -> None:
    limited = gate(max_per_minute=4)
    assert limited.judge(NOP * 3, 0.0) == "sent"
    assert limited.judge(NOP * 2, 1.0) == "too_often"
    assert limited.judge(NOP, 1.0) == "sent"
    assert limited.judge(NOP, 59.9) == "too_often"
    assert limited.judge(NOP, 60.0) == "sent"


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 3)), max_size=200))
def test_no_minute_ever_holds_more_than_the_limit(steps: list[tuple[float, int]]) -> None:
    limited, now, passed = gate(max_per_minute=7), 0.0, []
    for pause, frames in steps:
        now += pause
        if limited.judge(NOP * frames, now) == "sent":
            passed += [now] * frames
    for at in passed:
        assert sum(at - 60 < other <= at for other in passed) <= 7


def test_random_bytes_do_not_pass() -> None:
    chance = random.Random(1)
    open_gate = gate(max_per_minute=10**9)
    passed = [
        data
        for data in (chance.randbytes(chance.randint(1, 8)) for _ in range(100_000))
        if open_gate.judge(data, 0.0) == "sent"
    ]
    assert all(data == NOP or data[0] == 1 for data in passed)


class _Port:
    name, source_auth = "memory", "point_to_point"

    def __init__(self) -> None:
        self.written: list[bytes] = []

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def release(self) -> None: ...

    async def read(self) -> bytes:
        return b"in"

    async def write(self, data: bytes) -> None:
        self.written.append(data)


async def _play() -> tuple[list[bytes], list[tuple[Any, bytes]]]:
    inner = _Port()
    seen: list[tuple[Any, bytes]] = []
    port = GatedPort(inner, gate(), lambda direction, data: seen.append((direction, data)))  # type: ignore[arg-type]
    await port.write(b"not allowed", 0.0)
    await port.write(NOP, 0.0)
    await port.read()
    return inner.written, seen


def test_the_port_writes_and_shows_only_what_passed() -> None:
    import asyncio

    written, seen = asyncio.run(_play())
    assert written == [NOP]
    assert seen == [("tx", NOP), ("rx", b"in")]
