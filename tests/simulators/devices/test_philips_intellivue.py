"""The IntelliVue monitor: the page's bytes, and dialogues with the clock turned by hand."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import intellivue_frames as wire
from simulators.devices.philips_intellivue import timeout_s
from tests.simulators.devices import intellivue_talk as talk
from tests.simulators.devices.intellivue_talk import Box, known, one, poll, reply


def test_vectors() -> None:
    assert wire.fcs(b"123456789") == 0x906E
    release = bytes.fromhex("C0 11 01 00 1A 09 18 7D E1 16")
    assert wire.framed(wire.RELEASE_REQUEST).startswith(release)
    assert wire.framed(wire.RELEASE_REQUEST).endswith(bytes.fromhex("00 41 08 C1"))
    assert wire.framed(talk.KEEP_ALIVE).endswith(bytes.fromhex("54 4C C1"))
    assert wire.operation_of(talk.KEEP_ALIVE) == wire.Poll(1, wire.POLL, 1, 0x21, 0x080C, 0)
    created = bytes.fromhex("E1 00 00 02 00 02 00 14 00 01 00 01 00 0E 00 21 00 00 00 00 00 0A BD 00 0D 06 00 00")
    assert wire.operation_of(created) == wire.Answer(1, 0x0D06)
    numeric = struct.pack(">HHH", 0x4BB8, 0, 0x0220) + wire.number(97.72, 3)
    assert wire.attribute(0x0950, numeric) == bytes.fromhex("09 50 00 0A 4B B8 00 00 02 20 FD 01 7D B8")
    assert poll(talk.MDS)[:4] == talk.KEEP_ALIVE[:4]
    assert len(poll(talk.MDS)) == 36
    assert len(wire.ABORTION) == wire.ABORTION[1] + 2


@given(st.binary(max_size=120))
def test_stuffing_is_undone(payload: bytes) -> None:
    frame = wire.framed(payload)
    assert frame == talk.frame(payload)
    assert frame.count(b"\xc0") == frame.count(b"\xc1") == 1
    assert wire.payload_of(frame[1:-1]) == payload


def test_an_fcs_is_stuffed_too() -> None:
    """Some clients forget it: a frame whose FCS has a C0, C1 or 7D."""
    payload = next(
        data for data in (number.to_bytes(2, "big") for number in range(9999)) if b"\xc1" in wire_fcs(data)
    )
    frame = wire.framed(payload)
    assert frame[-4:-1] in (b"\x7d\xe1" + frame[-2:-1], frame[-4:-3] + b"\x7d\xe1")
    assert wire.payload_of(frame[1:-1]) == payload


def wire_fcs(payload: bytes) -> bytes:
    return wire.fcs(b"\x11\x01" + len(payload).to_bytes(2, "big") + payload).to_bytes(2, "little")


def test_association() -> None:
    box = Box()
    said = box.associate(talk.request(0x3E8, 1000, 0x8C000000))
    accepted, created = said
    assert accepted[0] == 0x0E
    assert accepted[1] == len(accepted) - 2
    terms = box.device.terms
    assert terms == wire.Terms(0x3E8, 1364, 1000, 0x8C000000)
    assert struct.pack(">HHII", 0xF001, 8, 0x8C000000, 0) in accepted
    assert struct.unpack_from(">HHH", created, 4)[0] == 1
    assert created[24:26] == b"\x0d\x06"
    assert b"Philips" in created
    assert b"DE00000001" in created
    assert box.device.is_known
    assert not box.device.illegal


def test_options_are_what_both_know() -> None:
    box = known(profile="88000000", min_poll_ticks="8000")
    assert box.device.terms == wire.Terms(8000, 1364, 1364, 0x88000000)
    assert box.say(poll(talk.ENUMERATIONS))[0][4:8] == b"\x00\x03\x00\x06"
    assert not box.device.illegal


def test_numerics() -> None:
    box = known(absent_rate="0", alarm_every_s="0")
    said = one(box, talk.NUMERICS)
    assert (said.link, said.sequence) == (None, None)
    assert said.time[:4] == bytes.fromhex("20 26 01 01")
    assert said.ticks == pytest.approx((1000 + box.now - 100) * 8000, abs=8000)
    found = talk.values(said)
    state, unit, exponent, mantissa = found[0x4BB8]
    assert (state, unit, exponent) == (0, 0x0220, -1)
    assert f"{mantissa / 10:.1f}" == box.device.history[-1].values["4BB8"]
    assert {0x4182, 0x4822, 0x500A, 0x4A15, 0x4A16, 0x4A17, 0x4A47, 0x4B48, 0x50B0, 0xF7FF} <= set(found)
    assert found[0x4A15][3] > found[0x4A17][3] > found[0x4A16][3]
    assert said.objects[0x0100][0x0927] == b"\x00\x06\x00H\x00R\x00\x00"


def test_a_physio_id_that_nobody_knows_can_be_left_out() -> None:
    assert 0xF7FF not in talk.values(one(known(unknown_ids="no"), talk.NUMERICS))


def test_the_cuff_has_its_own_time() -> None:
    box = known(cuff_every_s="300", alarm_every_s="0")
    assert 0x4A05 not in talk.values(one(box, talk.NUMERICS))
    box.follow(60)
    said = one(box, talk.NUMERICS)
    sys, dia, mean = (talk.values(said)[physio][3] for physio in (0x4A05, 0x4A06, 0x4A07))
    assert sys > mean > dia
    assert said.objects[0x0105][0x0990] == bytes.fromhex("20 26 01 01 08 00 30 00")
    assert said.time != said.objects[0x0105][0x0990]
    assert box.device.history[-1].values["time"] == "20260101080030"


@pytest.mark.parametrize(("habit", "is_number"), [("nan", False), ("number", True)])
def test_values_that_are_not_usable(habit: str, is_number: bool) -> None:
    box = known(not_usable=habit, absent_rate="0.6", alarm_every_s="0")
    states, numbers = set(), set()
    for _ in range(60):
        state, _, _, mantissa = talk.values(one(box, talk.NUMERICS))[0x4BB0]
        if state:
            states.add(state)
            numbers.add(mantissa != 0x7FFFFF)
    assert states == {0x8000, 0x2000, 0x1000}
    assert (True in numbers) is is_number
    assert any(text.startswith("state ") for reading in box.device.history for text in reading.values.values())


def test_states_of_demonstration_and_alarm() -> None:
    found = talk.values(one(known(demo="yes", absent_rate="0"), talk.NUMERICS))
    assert {state for state, _, _, _ in found.values()} == {0x0400}
    box = known(absent_rate="0")
    box.say(poll(talk.NUMERICS, 600))
    states = {(physio, v[0]) for said in box.follow(400) for physio, v in talk.values(said).items()}
    assert (0x4182, 0x0002) in states


def test_carbon_dioxide_in_kpa() -> None:
    found = talk.values(one(known(co2_unit="kPa", absent_rate="0"), talk.NUMERICS))
    assert found[0x50B0][1:3] == (0x0F03, -1)
    assert 40 < found[0x50B0][3] < 60


def test_an_extended_poll_goes_on_until_its_time_is_over() -> None:
    box = known(alarm_every_s="0")
    box.say(poll(talk.NUMERICS, 20, invoke=7, number=3), 0.01)
    said = box.follow(40)
    assert [part.sequence for part in said] == list(range(len(said)))
    assert len(said) in (19, 20)
    assert {part.invoke for part in said} == {7}
    box.say(poll(talk.NUMERICS, 20), 0.01)
    box.say(poll(talk.NUMERICS, 20), 0.01)  # a newer one replaces the older
    assert len(box.follow(40)) in (19, 20)


def test_an_extended_poll_without_a_time_is_answered_once() -> None:
    box = known()
    said = [reply(payload) for payload in box.say(poll(talk.NUMERICS, is_extended=True), 4.0)]
    assert len(said) == 1
    assert said[0].sequence == 0


@pytest.mark.parametrize(("profile", "seconds"), [("8C000000", 1), ("4C000000", 12)])
def test_how_often_numerics_come(profile: str, seconds: int) -> None:
    box = Box(1, frozenset(), profile=profile)
    box.associate(talk.request(options=int(profile, 16)))
    box.say(poll(talk.NUMERICS, 600), 0.01)
    ticks = [said.ticks for said in box.follow(60)]
    gaps = {round((b - a) / 8000) for a, b in zip(ticks, ticks[1:], strict=False)}
    assert gaps == {seconds}


@pytest.mark.parametrize("final", ["full", "empty"])
def test_linked_results(final: str) -> None:
    box = Box(1, frozenset(), final=final)
    box.associate(talk.request(mtu=300))
    parts = [reply(payload) for payload in box.say(poll(talk.NUMERICS))]
    states = [part.link for part in parts]
    assert len(parts) >= 4
    assert states[0] == (1, 1)
    assert states[-1] is None
    assert states[-2] == (3, len(parts) - 1)
    assert {state[0] for state in states[1:-2] if state} == {2}
    assert (not parts[-1].objects) == (final == "empty")
    assert len({physio for part in parts for physio in talk.values(part)}) >= 14
    assert len(box.device.history) == len(parts)


def test_linked_results_although_they_would_fit() -> None:
    box = known(linked="always")
    parts = [reply(payload) for payload in box.say(poll(talk.NUMERICS))]
    assert len(parts) >= 3
    assert len(box.say(poll(talk.ALARMS))) == 1


def test_curves() -> None:
    box = known()
    box.say(poll(talk.CURVES, 60), 0.01)
    said = box.follow(5)
    assert len(said) in (19, 20)
    first = said[0].objects[0x0200]
    assert first[0x096D] == struct.pack(">HBBH", 128, 16, 14, 0)
    assert struct.unpack(">I", first[0x098D]) == (16,)  # 2 ms: 500 a second
    assert first[0x096F][-4:] == struct.pack(">HH", 0, 0x3FFF)
    physio, _, size = struct.unpack_from(">HHH", first[0x096E])
    assert (physio, size) == (0x0102, 256)
    words = [struct.unpack(">128H", part.objects[0x0200][0x096E][6:]) for part in said]
    assert any(word & 0x8000 for part in words for word in part)
    sent = box.device.history[-1].values["0102"]
    assert " ".join(str(word & 0x3FFF) for word in words[-1]) == sent
    assert struct.unpack(">I", said[0].objects[0x0201][0x098D]) == (64,)
    ticks = [part.ticks for part in said]
    assert {round(b - a, -1) for a, b in zip(ticks, ticks[1:], strict=False)} <= {2040, 2050}


def test_curves_may_tell_their_scale_once_and_come_together() -> None:
    box = known(specs="first", ecg="compound")
    box.say(poll(talk.CURVES, 60), 0.01)
    said = box.follow(5)
    assert 0x096D in said[0].objects[0x0200]
    assert set(said[1].objects[0x0200]) == {0x0967}
    count, size = struct.unpack_from(">HH", said[1].objects[0x0200][0x0967])
    assert (count, size) == (2, 2 * 262)


def test_curves_need_an_extended_poll_and_the_option() -> None:
    box = known()
    assert box.say(poll(talk.CURVES))[0][4:6] == b"\x00\x03"
    box = known(profile="00000000")
    assert box.say(poll(talk.NUMERICS, 60))[0][4:6] == b"\x00\x03"
    assert one(box, talk.NUMERICS).objects
    assert not box.device.illegal


def test_enumerations_the_monitor_and_the_patient() -> None:
    box = known()
    said = one(box, talk.ENUMERATIONS)
    assert said.objects[0x0300][0x099E] == struct.pack(">HHHHH", 0xF7FD, 0, 1, 2, 0xE001)
    assert len(said.objects[0x0301][0x099E]) == 16
    monitor = one(box, talk.MDS).objects[0]
    assert b"M8005A" in monitor[0x0928]
    assert struct.unpack(">I", monitor[0x098F])[0] > 8_000_000
    assert "Éluard".encode("utf-16-be") in one(box, talk.PATIENT).objects[0x0500][0x095C]


def test_alarms_come_and_are_cleared() -> None:
    box = known(language="fr")
    box.say(poll(talk.ALARMS, 600), 0.01)
    said = box.follow(400)
    patient = {part.objects[0x0400][0x0902] for part in said}
    technical = {part.objects[0x0400][0x0904] for part in said}
    assert bytes(4) in patient & technical
    entry = next(data for data in technical if data != bytes(4))
    source, _, kind, _, _, _, _, info, size = struct.unpack_from(">HHHHHHHHH", entry, 4)
    assert (source, kind, info) == (0x4BB8, 1, 516)
    assert size == len(entry) - 22
    assert "CAPT. DEBR.".encode("utf-16-be") in entry
    kinds = {text for reading in box.device.history for text in reading.values.values()}
    assert kinds == {"1", "256", "512", "1024"}


def test_only_a_poll_keeps_the_association() -> None:
    box = known()
    box.say(poll(talk.NUMERICS, 600), 0.01)
    said = talk.payloads(box.listen(12.0))
    assert said[-1] == wire.ABORTION
    assert len(said) == 11
    assert box.device.timeouts == 1
    assert box.device.wake_at is None
    assert not box.say(poll(talk.NUMERICS))
    assert box.device.premature == 1
    assert box.associate()[0][0] == 0x0E


@pytest.mark.parametrize(
    ("ticks", "seconds"), [(0x9C4, 10), (26_400, 10), (40_000, 15), (344_000, 129), (400_000, 130)]
)
def test_the_time_out(ticks: int, seconds: float) -> None:
    assert timeout_s(ticks) == seconds


def test_mds_create_must_be_confirmed() -> None:
    box = Box()
    created = box.say(talk.request())[1]
    assert not box.say(poll(talk.NUMERICS))
    assert box.device.premature == 1
    wrong = talk.confirm(created[:8] + b"\x77\x77" + created[10:])
    box.say(wrong)
    assert box.device.illegal == [wrong]
    box.say(talk.confirm(created))
    assert box.say(poll(talk.NUMERICS))


def test_release_and_abort() -> None:
    box = known()
    assert box.say(talk.RELEASE) == [wire.RELEASE_ANSWER]
    assert box.device.terms is None
    box.associate()
    assert not box.say(wire.ABORTION)
    assert box.device.terms is None
    assert not box.device.illegal


@pytest.mark.parametrize(("habit", "first"), [("refuse", 0x0C), ("accept", 0x0E)])
def test_a_second_request(habit: str, first: int) -> None:
    box = known(second_request=habit)
    assert box.say(talk.request())[0][0] == first
    assert box.device.refused == (habit == "refuse")
    assert box.device.is_known == (habit == "refuse")


def test_a_hasty_box_and_a_burst_are_noticed() -> None:
    box = known(min_poll_ticks="8000")
    box.say(poll(talk.NUMERICS), 0.2)
    box.say(poll(talk.NUMERICS), 2.0)
    assert box.device.hasty == 1
    box.device.receive(talk.frame(talk.KEEP_ALIVE) * 5, box.now)
    assert box.device.hurried == 1


def test_the_counter_of_time_wraps() -> None:
    box = known(uptime_s="536860")
    box.say(poll(talk.NUMERICS, 60), 0.01)
    ticks = [said.ticks for said in box.follow(20)]
    assert ticks[0] > 2**32 - 100_000
    assert ticks[-1] < 100_000


SET = talk.operation(1, 1, 5, bytes(20))
GET = talk.operation(1, 1, 3, bytes(12))


@pytest.mark.parametrize(
    ("bad", "is_refused"),
    [
        (SET, True),
        (GET, True),
        (poll(talk.NUMERICS).replace(b"\x0c\x16", b"\x0c\x17"), True),
        (poll(talk.NUMERICS) + b"\0", False),
        (poll(talk.NUMERICS)[:-1], False),
        (poll(talk.NUMERICS).replace(b"\x00\x21", b"\x00\x22"), False),
        (b"\xe1\x00\x00\x03" + talk.KEEP_ALIVE[4:], False),
        (talk.RELEASE[:-1], False),
        (b"\x42", False),
    ],
)
def test_what_a_box_may_not_say_is_kept(bad: bytes, is_refused: bool) -> None:
    box = known()
    said = box.say(bad)
    assert box.device.illegal == [bad]
    assert [payload[4:6] for payload in said] == ([b"\x00\x03"] if is_refused else [])
    assert one(box, talk.NUMERICS).objects


def test_what_is_no_frame_is_kept() -> None:
    box = known()
    whole = talk.frame(talk.KEEP_ALIVE)
    for bad in (b"x", whole[:9] + b"\x99" + whole[10:], b"\xc0" + bytes(5000), whole[:5] + whole):
        box.device.illegal.clear()
        box.device.receive(bad, box.now)
        assert box.device.illegal
    box.device.illegal.clear()
    box.device.receive(whole[:9] + b"\x7d\xc1" + whole, box.now)  # taken back, and again
    assert not box.device.illegal
    assert box.device._ear.taken_back == 1


@pytest.mark.parametrize(
    "bad", [talk.request()[:-1], talk.request().replace(b"\x80\0\0\0\x40", b"\x40\0\0\0\x40"), b"\x0d", b"\x0d\x00"]
)
def test_a_request_that_makes_no_sense_is_refused(bad: bytes) -> None:
    box = Box()
    assert box.say(bad) == [wire.REFUSAL]
    assert box.device.illegal == [bad]


def test_bytes_one_by_one() -> None:
    box = Box()
    heard = b""
    for byte in talk.frame(talk.request()):
        heard += box.device.receive(bytes([byte]), box.now)
    assert talk.payloads(heard + box.listen(1.0))[0][0] == 0x0E
