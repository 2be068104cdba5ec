"""Frames: the document's worked examples, its misprints, what may stand inside what, and damage."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Fault
from drivers.draeger_medibus.frames import (
    MAX_COMMAND_BYTES,
    MAX_RESPONSE_BYTES,
    Command,
    DamagedCommand,
    Demultiplexer,
    FastBytes,
    Item,
    Response,
    Signal,
)
from drivers.draeger_medibus.realtime import enable
from drivers.observation import AnyObservation, Device, Numeric
from tests.drivers.draeger_medibus.dialogue import PROFILE, bench, command, response

# MEDIBUS protocol definition rev 4.03, worked examples; the last group was recomputed by hand in the same layouts.
COMMANDS = {
    "1B 30 34 42 0D": Command(0x30),
    "1B 51 36 43 0D": Command(0x51),
    "1B 55 37 30 0D": Command(0x55),
    "1B 52 36 44 0D": Command(0x52),
    "1B 24 33 46 0D": Command(0x24),
    "1B 25 34 30 0D": Command(0x25),
    "1B 26 34 31 0D": Command(0x26),
    "1B 27 34 32 0D": Command(0x27),
    "1B 2E 34 39 0D": Command(0x2E),
    "1B 28 34 33 0D": Command(0x28),
    "1B 29 34 34 0D": Command(0x29),
    "1B 2A 34 35 0D": Command(0x2A),
    "1B 2B 34 36 0D": Command(0x2B),
    "1B 2C 34 37 0D": Command(0x2C),
    "1B 2D 34 38 0D": Command(0x2D),
    "1B 53 36 45 0D": Command(0x53),
    "1B 6A 32 42 37 0D": Command(0x6A, b"2"),
    "1B 4A 24 45 42 31 30 0D": Command(0x4A, b"$EB"),
    b"\x1bT00020603FA\r".hex(): Command(0x54, b"00020603"),
}
RESPONSES = {
    "01 30 33 31 0D": Response(0x30),
    "01 51 35 32 0D": Response(0x51),
    "01 55 35 36 0D": Response(0x55),
    "01 52 35 33 0D": Response(0x52),
    "01 49 34 41 0D": Response(0x49),
    "01 4A 34 42 0D": Response(0x4A),
    "01 54 35 35 0D": Response(0x54),
    "01 15 31 36 0D": Response(0x15),
    "01 24 45 42 20 39 38 20 45 31 20 37 30 20 37 41 0D": Response(0x24, b"EB 98 E1 70 "),
    b"\x01R0161'My PC'01.00:03.00FC\r".hex(): Response(0x52, b"0161'My PC'01.00:03.00"),
    b"\x01(11:11:1911-NOV-93E6\r".hex(): Response(0x28, b"11:11:1911-NOV-93"),
    b"\x01S00   16000-  10  10037006   16000-  20  1004603B\r".hex(): Response(
        0x53, b"00   16000-  10  10037006   16000-  20  100460"
    ),
    b"\x01$73 12 78  5 7D 24 820.48B9 7.2D615  F040  F7\r".hex(): Response(
        0x24, b"73 12 78  5 7D 24 820.48B9 7.2D615  F040  "
    ),
    b"\x01'N10PAW HIGH    M19MIN VOL LOW 5D\r".hex(): Response(0x27, b"N10PAW HIGH    M19MIN VOL LOW "),
    b"\x01)01  40 040.4800B  5.0F2\r".hex(): Response(0x29, b"01  40 040.4800B  5.0"),
    b"\x01*019Mode IPPV\x03AC\r".hex(): Response(0x2A, b"019Mode IPPV\x03"),
    b"\x01R8240'Evita 4'04.00:04.00DA\r".hex(): Response(0x52, b"8240'Evita 4'04.00:04.00"),
    b"\x01R8250'Savina'03.00:04.00EF\r".hex(): Response(0x52, b"8250'Savina'03.00:04.00"),
    b"\x01R0161'EDGE GATEWAY'01.00:04.03CE\r".hex(): Response(0x52, b"0161'EDGE GATEWAY'01.00:04.03"),
    b"\x01(08:06:0504-MAI-26CD\r".hex(): Response(0x28, b"08:06:0504-MAI-26"),
}
MISPRINTS = (
    "1B 30 34 36 0D",
    "01 24 45 42 20 39 38 20 37 41 0D",
    b"\x01S00   16000-  10  10045006   16000-  20  1004603B\r".hex(),
)
ALL: dict[str, Command | Response] = {**COMMANDS, **RESPONSES}


def _feed(*pieces: bytes) -> list[Item]:
    demultiplexer = Demultiplexer()
    return [item for piece in pieces for item in demultiplexer.feed(piece)]


@pytest.mark.parametrize("text", ALL)
def test_worked_examples_both_ways(text: str) -> None:
    wire, frame = bytes.fromhex(text), ALL[text]
    assert frame.to_bytes() == wire
    assert type(frame).from_bytes(wire) == frame
    assert _feed(wire) == [frame]


@pytest.mark.parametrize("text", MISPRINTS)
def test_misprints_are_refused(text: str) -> None:
    (item,) = _feed(bytes.fromhex(text))
    assert isinstance(item, Fault | DamagedCommand)


def test_a_printed_echo_of_nop_that_is_another_commands() -> None:
    """The document prints 01 52 35 33 for it: a sound frame, but the empty answer to 52H."""
    assert _feed(bytes.fromhex("015235330d")) == [Response(0x52)]


def test_enable_of_two_streams() -> None:
    assert enable(2) == bytes.fromhex("d0c1c3c0c0")


@pytest.mark.parametrize("text", ALL)
def test_cut_anywhere(text: str) -> None:
    wire = bytes.fromhex(text)
    for at in range(len(wire) + 1):
        assert _feed(wire[:at], wire[at:]) == [ALL[text]]


@pytest.mark.parametrize("text", RESPONSES)
def test_no_single_flipped_bit_makes_a_value(text: str) -> None:
    """Not even the one that turns a checksum digit into DC3 and leaves a shorter frame whose checksum is right."""
    wire = bytes.fromhex(text)
    told = _observed(wire)
    for at in range(len(wire)):
        for bit in range(8):
            damaged = bytearray(wire)
            damaged[at] ^= 1 << bit
            read = _observed(bytes(damaged))
            assert read in ([], told), f"byte {at}, bit {bit}"  # a checksum in lower case is the same frame


def _observed(wire: bytes) -> list[AnyObservation]:
    it = bench(curves=["00"])
    it.start()
    it.rx(wire)
    return [o for o in it.seen if not isinstance(o, Device) or o.identity]


@pytest.mark.parametrize("at", range(2, 15))
def test_a_command_inside_a_response(at: int) -> None:
    outer, inner = response(0x24, b"EB 98 E1 70 "), command(0x52)
    assert _feed(outer[:at] + inner + outer[at:]) == [Command(0x52), Response(0x24, b"EB 98 E1 70 ")]


def test_real_time_bytes_anywhere() -> None:
    outer = response(0x24, b"EB 98 ")
    items = _feed(outer[:1] + b"\xd3\x91" + outer[1:5] + b"\x81\x8d\x83" + outer[5:])
    assert items == [FastBytes(b"\xd3\x91\x81\x8d\x83"), Response(0x24, b"EB 98 ")]


def test_signals_inside_a_frame() -> None:
    outer = response(0x24, b"EB 98 ")
    assert _feed(outer[:4] + b"\x11" + outer[4:6] + b"\x13" + outer[6:]) == [
        Signal("suspend"),
        Signal("resume"),
        Response(0x24, b"EB 98 "),
    ]


def test_cancel_takes_the_frame_back() -> None:
    assert _feed(b"\x01$EB 9\x18" + response(0x30)) == [Signal("abort"), Response(0x30)]


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"\x01$EB 98 00\r", "checksum"),
        (b"\x01$\r", "length"),
        (b"\x01$EB \x00 98", "framing"),
        (b"\x01$" + b"A" * MAX_RESPONSE_BYTES, "length"),
        (b"\x1bT" + b"0" * MAX_COMMAND_BYTES, "length"),
        (b"\x01$EB \x15", "framing"),
    ],
)
def test_damage_is_refused_and_the_next_frame_read(wire: bytes, reason: str) -> None:
    fault, *_noise, good = _feed(wire + response(0x30))
    assert isinstance(fault, Fault)
    assert (fault.reason, fault.rejected) == (reason, True)
    assert good == Response(0x30)


def test_mixed_case_of_a_checksum_is_refused() -> None:
    assert _feed(b"\x01R0161'My PC'01.00:03.00fc\r") == [Response(0x52, b"0161'My PC'01.00:03.00")]
    (item,) = _feed(b"\x01R0161'My PC'01.00:03.00Fc\r")
    assert isinstance(item, Fault)


def test_a_damaged_command_is_told_apart() -> None:
    assert _feed(b"\x1bQ00\r") == [DamagedCommand(Fault("checksum", "command", rejected=True))]


def test_a_lost_end_costs_one_frame() -> None:
    items = _feed(response(0x24, b"EB 98 ")[:-1] + response(0x24, b"EB 97 "))
    assert items == [Fault("framing", "response", rejected=True), Response(0x24, b"EB 97 ")]


def test_a_start_that_comes_twice_is_one() -> None:
    assert _feed(b"\x01", b"\x01", b"\x01\x01" + response(0x30)) == [Response(0x30)]


def test_nothing_nests_without_end() -> None:
    items = _feed(b"\x01a\x1ba" * 4 + b"\r\r\r\r" + response(0x30))
    assert [i.reason for i in items if isinstance(i, Fault) and i.rejected].count("framing") == 4
    assert items[-1] == Response(0x30)


def test_junk_is_one_fault_a_stretch() -> None:
    assert _feed(b"ab", b"cd", response(0x30), b"x") == [Fault("noise"), Response(0x30), Fault("noise")]


def test_what_was_half_received_can_be_dropped() -> None:
    demultiplexer = Demultiplexer()
    demultiplexer.feed(b"\x01$EB ")
    assert demultiplexer.is_inside
    assert demultiplexer.drop() == [Fault("truncated", "response", rejected=True)]
    assert not demultiplexer.is_inside


@pytest.mark.parametrize(
    ("data", "reason"), [(b"\x1bQ6C", "framing"), (b"\x01Q52\r", "length"), (b"\x1bQ6D\r", "checksum")]
)
def test_from_bytes_refuses(data: bytes, reason: str) -> None:
    refused = Command.from_bytes(data)
    assert isinstance(refused, Fault)
    assert refused.reason == reason
    assert isinstance(Response.from_bytes(data[:-1]), Fault)


_WIRE = b"".join(bytes.fromhex(text) for text in ALL) + b"\xd3\x91\x81\x8d\x83" + b"\x11\x13\x18"


def _merged(items: list[Item]) -> list[Item]:
    """Neighbouring real-time bytes as one piece, noise last: where they were cut says nothing."""
    merged: list[Item] = []
    noise = [item for item in items if item == Fault("noise")]
    for item in [*(item for item in items if item != Fault("noise")), *noise]:
        if merged and isinstance(item, FastBytes) and isinstance(last := merged[-1], FastBytes):
            merged[-1] = FastBytes(last.data + item.data)
        else:
            merged.append(item)
    return merged


@given(st.binary(max_size=60), st.integers(0, len(_WIRE)), st.lists(st.integers(0, 60), max_size=200))
def test_the_cut_of_the_stream_says_nothing(noise: bytes, at: int, sizes: list[int]) -> None:
    data = _WIRE[:at] + noise + _WIRE[at:]
    whole = _merged(_feed(data))
    pieces, begin = [], 0
    for size in sizes:
        pieces.append(data[begin : begin + size])
        begin += size
    assert _merged(_feed(*pieces, data[begin:])) == whole


def test_every_template_of_the_allow_list_is_met_by_the_documents_own_frames() -> None:
    for text in (*COMMANDS, "01 30 33 31 0D", "01 15 31 36 0D", "D0 C1 C3 C0 C0"):
        if text == b"\x1bT00020603FA\r".hex():
            continue  # multipliers 2 and 3: the driver only ever asks for each sample
        matches = [r.name for r in PROFILE.allowed if re.fullmatch(r.regex(), bytes.fromhex(text), re.DOTALL)]
        assert matches, text


def test_exact_frames_of_the_allow_list_have_right_checksums() -> None:
    for rule in PROFILE.allowed:
        wire = bytes.fromhex(rule.hex)
        if wire:
            assert isinstance((Command if wire[0] == 0x1B else Response).from_bytes(wire), Command | Response)


@pytest.mark.parametrize("wire", [b"\x1bH63\r", b"\x1bl87\r", b"\x1bj1B6\r", b"\x1bT00FA\r", b"\x01R9999'X'\r"])
def test_nothing_else_may_be_sent(wire: bytes) -> None:
    assert not [r for r in PROFILE.allowed if re.fullmatch(r.regex(), wire, re.DOTALL)]


@given(st.binary(max_size=2000))
def test_noise_is_bounded_and_gives_no_value(noise: bytes) -> None:
    it = bench(curves=["00"])
    it.start()
    it.rx(noise)
    assert not [o for o in it.seen if isinstance(o, Numeric) and isinstance(o.value, Decimal)]
    assert len(it.faults) <= len(noise) + 1
