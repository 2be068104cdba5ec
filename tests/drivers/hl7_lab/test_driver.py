"""The link: splits, several messages, heartbeats, noise, what comes again, what stands still, who is there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Output
from drivers.hl7_lab.driver import MAX_MESSAGE_BYTES, REMEMBERED
from drivers.observation import Device
from drivers.results import MEMORY_IDENTITIES
from tests.drivers.hl7_lab.made import codes, feed, make, msh, obx, one, oru, reasons, results_of, wire

MESSAGE = oru(obx("GLU", "5.5"), obx("NA", "140"), "NTE|1|L|note")
OTHER = oru(obx("GLU", "6.0"), number="2", specimen="S2")


def devices(outputs: list[Output]) -> list[Device]:
    return [seen for output in outputs for seen in output.observations if isinstance(seen, Device)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 4096])
def test_any_split_and_several_messages_at_once(size: int) -> None:
    stream = MESSAGE + OTHER + b"\n" + oru(obx("CRP", "7"), number="3")
    outputs = feed(make(), *(stream[at : at + size] for at in range(0, len(stream), size)))
    assert [str(seen.value) for seen in results_of(outputs)] == ["5.5", "140", "6.0", "7"]
    assert (reasons(outputs), [code for output in outputs for code in codes(output)]) == ([], ["AA"] * 3)
    assert sum(output.frames for output in outputs) == 3


@pytest.mark.parametrize("at", range(1, len(MESSAGE)))
def test_every_cut(at: int) -> None:
    driver = make()
    first, second = feed(driver, MESSAGE[:at], MESSAGE[at:])
    assert (first.observations, first.send, first.wake_at) == ((), b"", 31.0)
    assert (len(results_of([second])), codes(second), second.wake_at) == (2, ["AA"], None)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_every_end_of_a_segment(end: str) -> None:
    segments = (msh(), "OBR|1||S1", obx("GLU", "5.5"), obx("NA", "140"))
    assert results_of(feed(make(), wire(*segments, end=end))) == results_of(feed(make(), wire(*segments)))


def test_heartbeats_are_no_noise_and_mean_nothing() -> None:
    outputs = feed(make(), b"\x02", MESSAGE, b"\x02\x02\r\n\x02" + OTHER, b"\x02")
    assert (reasons(outputs), len(results_of(outputs))) == ([], 3)
    assert [output.wake_at for output in outputs] == [None] * 4
    assert reasons(feed(make(), b"\x02A\x02", MESSAGE)) == ["noise"]
    damaged = MESSAGE[:30] + b"\x02" + MESSAGE[30:]
    assert reasons(feed(make(), damaged)) == ["framing!"]


@pytest.mark.parametrize(
    "noise", [b"\x00" * 500, b"\xff" * 500, b"\x05\x04", b"\x06\x15", b"\x021H|\\^&\r\x03F0\r\n"]
)
def test_noise_before_and_between(noise: bytes) -> None:
    outputs = feed(make(), noise, MESSAGE, noise + OTHER, noise)
    assert (reasons(outputs), len(results_of(outputs))) == (["noise"] * 3, 3)


def test_what_stands_still_is_given_up() -> None:
    driver = make()
    assert feed(driver, MESSAGE[:50])[0].wake_at == 31.0
    assert driver.wake(30.9).faults == ()
    assert reasons([driver.wake(31.0)]) == ["truncated!"]
    assert reasons([driver.receive(MESSAGE[50:], 32.0)]) == ["noise"]
    feed(driver, MESSAGE[:50], now=40.0)
    (output,) = feed(driver, MESSAGE, now=75.0)
    assert (reasons([output]), len(results_of([output]))) == (["truncated!"], 2)


@pytest.mark.parametrize("call", ["start", "stop"])
def test_half_a_message_does_not_outlive_the_link(call: str) -> None:
    driver = make()
    feed(driver, MESSAGE[:50])
    output = getattr(driver, call)(2.0)
    assert (reasons([output]), output.send, output.wake_at) == (["truncated!"], b"", None)
    assert results_of(feed(driver, MESSAGE[50:])) == []


def test_a_message_begun_again_is_taken_once() -> None:
    outputs = feed(make(), MESSAGE[:50] + MESSAGE)
    assert (reasons(outputs), len(results_of(outputs))) == (["truncated!"], 2)


def test_a_message_over_the_limit_is_counted() -> None:
    driver = make()
    outputs = feed(driver, b"\x0b" + b"A" * (MAX_MESSAGE_BYTES + 10) + b"\x1c\r", MESSAGE)
    assert (reasons(outputs), len(results_of(outputs))) == (["length!"], 2)


def test_a_large_image_is_read_past() -> None:
    outputs = feed(make(), oru(obx("IMG", "^Image^PNG^Base64^" + "A" * 1_500_000, kind="ED"), obx("GLU", "5.5")))
    image, glucose = results_of(outputs)
    assert (image.value, image.text, image.comments[-1]) == (None, "", "ED, 1500018 characters")
    assert str(glucose.value) == "5.5"


def test_a_message_that_comes_again_gives_nothing_twice() -> None:
    driver = make()
    outputs = feed(driver, MESSAGE, MESSAGE)
    driver.start(5.0)
    outputs += feed(driver, MESSAGE)
    assert (len(results_of(outputs)), reasons(outputs)) == (2, ["duplicate", "duplicate"])
    assert [codes(output) for output in outputs] == [["AA"]] * 3


def test_a_session_sent_again_by_another_number_gives_nothing_twice() -> None:
    driver = make()
    segments = ("OBR|1||S1||||20260105094500", obx("GLU", "5.5"), obx("GLU", "5.5"))
    again = [
        wire(msh(number, time=time), *segments) for number, time in (("1", "20260105100000"), ("2", "20260105110000"))
    ]
    outputs = feed(driver, *again)
    assert (len(results_of(outputs)), reasons(outputs)) == (2, ["duplicate_result"] * 2)
    first, second = results_of(outputs)
    assert first.identity != second.identity


@pytest.mark.parametrize(
    "changed",
    [
        obx("GLU", "5.6"),
        obx("GLU", "5.5", status="C"),
        obx("GLU", "5.5", flags="H"),
        obx("GLU", "5.5", unit="mg/dL"),
        obx("GLU", "5.5", time="20260105120000"),
        obx("GLU", "5.50"),
    ],
)
def test_a_changed_result_is_a_new_version(changed: str) -> None:
    driver = make()
    outputs = feed(driver, oru(obx("GLU", "5.5")), oru(changed, number="2"))
    assert (len(results_of(outputs)), reasons(outputs)) == (2, [])


def test_without_specimen_and_time_nothing_is_a_repeat() -> None:
    message = wire(msh(time=""), "OBR|1", obx("GLU", "5.5"))
    outputs = feed(make(), message, message)
    assert (len(results_of(outputs)), reasons(outputs)) == (2, [])


def test_what_is_remembered_is_bounded() -> None:
    driver = make()
    for n in range(0, MEMORY_IDENTITIES + 2, 2):
        feed(driver, oru(obx("GLU", "1"), obx("NA", "2"), number=str(n), specimen=f"S{n}"))
    assert len(driver._stored) == REMEMBERED  # type: ignore[attr-defined]
    outputs = feed(driver, oru(obx("GLU", "1"), obx("NA", "2"), number="0", specimen="S0"))
    assert (len(results_of(outputs)), reasons(outputs)) == (2, [])


def test_the_device_is_told_once_a_link() -> None:
    driver = make()
    outputs = feed(driver, MESSAGE, OTHER)
    driver.start(2.0)
    outputs += feed(driver, oru(obx("GLU", "9"), number="5"))
    outputs += feed(driver, oru(obx("GLU", "8"), number="6", app="NEW"))
    told = devices(outputs)
    assert [seen.identity.get("application") for seen in told] == ["ANALYZER", "ANALYZER", "NEW"]
    assert {seen.connection for seen in told} == {"connected"}


def test_another_device_than_the_one_that_was_named() -> None:
    outputs = feed(make(senders=["analyzer"]), MESSAGE, oru(obx("GLU", "1"), app="OTHER", lab="X"))
    assert (len(results_of(outputs)), reasons(outputs), codes(outputs[1])) == (2, ["wrong_device"], ["AR"])
    assert [(seen.reason, seen.identity["application"]) for seen in devices(outputs)] == [
        ("", "ANALYZER"),
        ("wrong_device", "OTHER"),
    ]
    assert results_of(feed(make(senders="LAB"), oru(obx("GLU", "1"), app="", lab=""))), "who says nothing may be it"


def test_a_device_that_storms_is_answered_once_a_message() -> None:
    driver = make()
    outputs = feed(driver, *[b"\x0b\x1c\r" * 50 + b"\x06\x15\x02" * 50 + MESSAGE] * 200)
    assert sum(len(codes(output)) for output in outputs) == 200
    assert len(results_of(outputs)) == 2


def test_omitted_codes() -> None:
    message = oru(obx("30525-0^Age^LN", "61"), obx("GLU", "5.5"))
    assert [seen.test for seen in results_of(feed(make(omit=["30525-0"]), message))] == ["GLU"]
    assert [seen.test for seen in results_of(feed(make(omit="30525-0"), message))] == ["GLU"]


def test_options_of_another_driver() -> None:
    driver = make()
    with pytest.raises(TypeError):
        type(driver)(None, None)  # type: ignore[arg-type]


@given(st.binary(max_size=300), st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_any_bytes_in_any_pieces(noise: bytes, sizes: list[int]) -> None:
    stream, pieces, turn = noise + MESSAGE + noise + OTHER, [], 0
    whole = feed(make(), stream)
    while stream:
        size = sizes[turn % len(sizes)]
        pieces.append(stream[:size])
        stream, turn = stream[size:], turn + 1
    split = feed(make(), *pieces)
    assert results_of(split) == results_of(whole)
    assert b"".join(output.send for output in split) == whole[0].send
    assert sorted(reasons(split)) == sorted(reasons(whole))


@given(st.lists(st.sampled_from("|^~\\&\r5.<F"), max_size=80).map("".join), st.booleans())
def test_any_segment_is_survived(text: str, is_obx: bool) -> None:
    for seen in results_of(feed(make(), oru(("OBX|1|NM|GLU|" if is_obx else "OBR|") + text))):
        assert (seen.value is None) == (seen.validity == "not_available")
        assert one(obx("GLU", "5")).validity == "valid"
