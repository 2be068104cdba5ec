"""What may leave the Modbus port, and what any bytes that come in are worth."""

import asyncio
import logging
import os
import pty
import random
import re
import tty
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Block, Read
from gateway.ports.modbus import read_answer, read_rules
from tests.contract.measure import NOISE_BUDGET, cost
from tests.gateway.ports.modbus_peer import (
    ANSWER_L1,
    ASK_L1,
    L1,
    Peer,
    modbus,
    read_all,
    run,
    serial_peer,
)


@pytest.mark.parametrize("function", [0, 5, 6, 7, 8, 15, 16, 22, 23, 43, 255])
def test_nothing_but_reads_leaves_the_port(function: int) -> None:
    peer = Peer(ANSWER_L1)
    with serial_peer(peer) as path:
        port, traced = modbus(f"modbus-rtu:{path}")

        async def write() -> str:
            await port.open()
            try:
                return await port.execute(function, 4104, 1)
            finally:
                await port.close()

        assert run(write()) == "not_allowed"
    assert peer.heard == []
    assert traced == []


@pytest.mark.parametrize("read", [Read("holding", 0, 0), Read("holding", 0, 126), Read("coil", 0, 2001)])
def test_a_block_that_the_protocol_does_not_have_is_not_asked(read: Read) -> None:
    port, traced = modbus("modbus-tcp:127.0.0.1:1")
    assert run(port.read(read)) == Block(read, error="not_allowed")
    assert traced == []


WRITES = (5, 6, 15, 16, 22, 23, 8, 43)


@given(
    st.sampled_from(["modbus-tcp", "modbus-rtu", "modbus-ascii"]),
    st.integers(0, 255),
    st.sampled_from(WRITES),
    st.binary(max_size=40),
)
def test_no_rule_lets_a_write_pass(kind: str, unit: int, function: int, data: bytes) -> None:
    head = bytes([unit, function])
    frames = {
        "modbus-tcp": b"\x00\x01\x00\x00" + (len(data) + 2).to_bytes(2, "big") + head + data,
        "modbus-rtu": head + data + b"\x00\x00",
        "modbus-ascii": b":" + (head + data + b"\x00").hex().upper().encode() + b"\r\n",
    }
    rules = re.compile(b"(?:" + b"|".join(rule.regex() for rule in read_rules(kind, unit)) + b")+", re.DOTALL)
    assert not rules.fullmatch(frames[kind])


def test_ascii_as_the_freezer_prints_it() -> None:
    """Thermo TSX manual, appendix D: `:190305300002AD`, and a count in characters whose LRC is right for it."""
    ask = b":190305300002AD\r\n"
    peer_heard: list[bytes] = []

    async def whole(path: str, master: int) -> list[Block]:
        loop = asyncio.get_running_loop()
        answers = [b":190308FFFFFCE002\r\n", b":190304FFFFFCE006\r\n", b":190304FFFFFCE002\r\n", b":zz0304\r\n"]

        def serve() -> None:
            peer_heard.append(os.read(master, 4096))
            os.write(master, answers.pop(0))

        loop.add_reader(master, serve)
        try:
            port, _ = modbus(f"modbus-ascii:{path}", options={"unit": 0x19})
            return await read_all(port, *[Read("holding", 0x530, 2)] * 4)
        finally:
            loop.remove_reader(master)

    master, slave = pty.openpty()
    tty.setraw(slave)
    try:
        blocks = run(whole(os.ttyname(slave), master))
    finally:
        os.close(slave)
        os.close(master)
    assert set(peer_heard) == {ask}
    assert [block.words for block in blocks] == [(0xFFFF, 0xFCE0), (0xFFFF, 0xFCE0), (), ()]
    assert [block.error for block in blocks[2:]] == ["unverified", "unverified"]


@given(st.binary(max_size=600), st.sampled_from(["coil", "holding"]), st.integers(1, 125), st.booleans())
def test_any_body_is_judged(body: bytes, table: Any, count: int, is_ascii: bool) -> None:
    block = read_answer(Read(table, 0, count), body, is_ascii=is_ascii)
    assert block.error or len(block.words) == count


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=30), st.sampled_from(["tcp", "rtu", "ascii"]))
def test_any_bytes_are_taken(chunks: list[bytes], kind: str) -> None:
    target = "127.0.0.1:1" if kind == "tcp" else "/dev/absent"
    port, _ = modbus(f"modbus-{kind}:{target}")
    buffer = b""
    for chunk in chunks:
        buffer, block = port._take(buffer + chunk, L1)
        assert block is None or block.error
        assert len(buffer) <= port._framer.MAX_SIZE


_NOISE = {
    "ff": b"\xff" * 65536,
    "zero": b"\x00" * 65536,
    "head": ASK_L1[:2] * 32768,
    "colon": b":" * 65536,
    "random": random.Random(1).randbytes(65536),
    "bomb": bytes.fromhex("0001 0000 ffff 0a03") * 8192,
}


@pytest.mark.parametrize("kind", ["tcp", "rtu", "ascii"])
@pytest.mark.parametrize("noise", _NOISE)
def test_64_kb_of_noise_is_cheap(kind: str, noise: str) -> None:
    """What one request hears is bounded, so this is more noise than the framer would ever be given at once."""
    target = "127.0.0.1:1" if kind == "tcp" else "/dev/absent"
    port, _ = modbus(f"modbus-{kind}:{target}")
    data = _NOISE[noise]

    def take_all() -> None:
        buffer = b""
        for at in range(0, len(data), 256):
            buffer, _block = port._take(buffer + data[at : at + 256], L1)

    assert cost(lambda: take_all) <= NOISE_BUDGET


def test_pymodbus_writes_no_frames_into_the_log() -> None:
    assert not logging.getLogger("pymodbus.logging").isEnabledFor(logging.ERROR)


def test_the_line_is_silent_for_three_and_a_half_characters() -> None:
    port, _ = modbus("modbus-rtu:/dev/absent")
    assert port._silence_s == pytest.approx(3.5 * 10 / 19200)
