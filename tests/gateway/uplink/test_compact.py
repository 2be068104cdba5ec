"""The compact encoding: nothing is lost, whatever it is; the promised sizes are kept on frames nobody has seen."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from drivers.observation import AnyObservation, ClockTrust, Device, Gap, Lane, Numeric, Vendor, lane_of, to_json
from gateway.uplink.body import MOST_OBSERVATIONS, MOST_SAMPLES
from gateway.uplink.compact import document_of, encode_compact, is_compact
from gateway.uplink.dictionary import newest
from gateway.uplink.envelope import FrameEnvelope, Malformed, decode_observations, encode_json
from gateway.uplink.schema import COMPACT_TYPE, FRAME_TYPE, decode_frame, frame_type
from tests.gateway.uplink.fake_spool import numeric, wave
from tests.gateway.uplink.monitor_frames import WAVES, monitor_frame, sample_frames, samples_of, wave_frame
from tests.gateway.uplink.observations import ODD_NUMBERS, anything, settle, streams, texts

BYTES_PER_MONITOR_SECOND = 16
BYTES_PER_SAMPLE = 1


def frame_of(payload: bytes, count: int, lane: Lane = "numeric") -> FrameEnvelope:
    return FrameEnvelope("gw-test", "site-1", "00ff", 3, lane, 7, count, Raw(payload))


def framed(*seen: AnyObservation) -> FrameEnvelope:
    return frame_of(b"[" + b",".join(map(to_json, seen)) + b"]", len(seen), lane_of(seen[0]))


def assert_kept(frame: FrameEnvelope) -> bytes:
    """There and back: the same envelope, the same observations to the last digit; returns what was sent."""
    dictionary = newest()
    sent = encode_compact(frame, dictionary)
    back, seen = decode_frame(sent)
    assert back == frame
    assert list(map(to_json, seen)) == list(map(to_json, decode_observations(frame)))
    assert encode_compact(frame, dictionary) == sent
    bare, _seen = decode_frame(encode_compact(frame), {})
    assert bare == frame
    return sent


@given(st.lists(anything, min_size=1, max_size=8))
def test_any_observation_comes_back_as_it_was(seen: list[AnyObservation]) -> None:
    assert_kept(framed(*seen))


@given(streams().filter(bool))
def test_what_devices_say_again_and_again_comes_back_as_it_was(seen: list[AnyObservation]) -> None:
    assert_kept(framed(*seen))


@given(st.tuples(texts, texts, texts, st.one_of(texts, st.just(UNSET))), st.sampled_from(("event", "wave", "log")))
def test_any_envelope_comes_back_as_it_was(names: tuple[str, str, str, str], lane: Lane) -> None:
    gateway, site, spool, boot = names
    assert_kept(
        FrameEnvelope(gateway, site, spool, 2**53 - 1, lane, 2**53 - 1, 1, framed(wave()).observations, boot=boot)
    )


@pytest.mark.parametrize("text", [*ODD_NUMBERS, "97.0", "97", "0", "-12.50", "123456789012345678", "4" * 5000])
def test_digits_are_kept(text: str) -> None:
    seen = settle(timed(text))
    assert isinstance(seen, Numeric)
    assert str(seen.value) == text
    assert_kept(framed(seen, seen, settle(timed("1.5"))))


def timed(value: str, text: str | None = None, second: int = 2) -> Numeric:
    """A numeric as the agent stamps it."""
    return msgspec.structs.replace(
        numeric(value),
        vendor=Vendor("SPO2", value if text is None else text),
        at=f"2026-11-24T09:15:{second:02d}.120Z",
        clock=ClockTrust("ntp", 12, "b", 10.5 + second),
    )


@pytest.mark.parametrize(
    ("values", "written"),
    [
        (("97", "100", "9"), "{}"),
        (("97", "100", "-9"), "{:>5}"),
        (("97", "100", "9"), "{:0>3}%"),
        (("1.5", "0.5", "11.0"), "T={:>6} Cel"),
        (("1.5", "0.5"), "1,5|0,5"),
        (("12", "7"), "00FF 0A12|00FF 0A13"),
    ],
)
def test_the_text_beside_a_value_costs_nothing_more(values: tuple[str, ...], written: str) -> None:
    told = written.split("|")
    texts = [told[at % len(told)].format(value) for at, value in enumerate(values * 30)]
    seen = [timed(value, text, at % 60) for at, (value, text) in enumerate(zip(values * 30, texts, strict=True))]
    sent = assert_kept(framed(*seen))
    plain = encode_compact(framed(*[timed(value, None, at % 60) for at, value in enumerate(values * 30)]), newest())
    assert len(sent) - len(plain) < 30
    odd = [
        timed(value, f"{text}{'x' * (at % 7)}", at % 60)
        for at, (value, text) in enumerate(zip(values * 30, texts, strict=True))
    ]
    assert len(assert_kept(framed(*odd))) - len(plain) > 30


@pytest.mark.parametrize(
    "other",
    [
        b'[{"kind":"spell","validity":"valid"}]',
        b'[{"kind":"gap","validity":"valid","gap_lane":"wave","gap_epoch":1,"first":1,"last":2,"mood":"new"}]',
        b'[{"kind":"gap","validity":"valid","gap_lane":"wave","gap_epoch":1,"first":1, "last":2}]',
        b"[1]",
    ],
)
def test_what_this_version_cannot_read_is_carried_to_one_that_can(other: bytes) -> None:
    frame = frame_of(other, 1, "event")
    assert other in document_of(frame)
    assert said_of(encode_compact(frame)) == said_of(encode_json(frame_of(other, 1, "event")))


@pytest.mark.parametrize("noise", [b"{", b"\xff", b""])
def test_what_is_not_even_json_is_refused_there(noise: bytes) -> None:
    assert said_of(encode_compact(frame_of(noise, 1))) == "observations"


def said_of(payload: bytes) -> object:
    try:
        return decode_frame(payload)[1]
    except Malformed as error:
        return error.reason


@pytest.mark.parametrize("mono", ['"mono_s":-0.0,', '"mono_s":0.0,', ""])
def test_clocks_that_look_alike_are_told_apart(mono: str) -> None:
    one, other = (
        f'{{"kind":"device","validity":"valid","at":"2026-11-24T09:15:02.120Z","clock":{{"quality":"ntp"{said}}},'
        '"connection":"stale"}'
        for said in ("," + mono.rstrip(",") if mono else "", ',"mono_s":0.0')
    )
    for pair in ((one, other), (other, one)):
        assert_kept(frame_of(("[" + ",".join(pair) + "]").encode(), 2, "event"))


@pytest.mark.parametrize("mono_s", [10.0005, 0.0004, -12.5, 1e11, 1e300])
def test_clocks_finer_or_larger_than_a_column(mono_s: float) -> None:
    odd = msgspec.structs.replace(timed("97"), clock=ClockTrust("ntp", 12, "b", mono_s))
    assert_kept(framed(timed("96"), odd, timed("98")))


def test_what_is_beyond_the_format_goes_as_json() -> None:
    many = framed(*[Gap(validity="valid", gap_lane="log", gap_epoch=1, first=1, last=1)] * (MOST_OBSERVATIONS + 1))
    large = framed(Device(validity="valid", connection="stale", identity={"x": "é" * 600_000}))
    far = msgspec.structs.replace(framed(numeric("1")), first=2**60)
    newer = msgspec.structs.replace(framed(numeric("1")), v=2)
    for frame in (many, large, far, newer):
        assert encode_compact(frame) == encode_json(frame)


def test_a_curve_too_long_for_a_column_is_kept_as_it_is() -> None:
    long = msgspec.structs.replace(wave(), samples=(0,) * (MOST_SAMPLES + 1), at="2026-11-24T09:15:02.120Z")
    assert is_compact(assert_kept(framed(long)))
    assert to_json(long) in document_of(framed(long))


def test_the_first_bytes_tell_the_encoding() -> None:
    frame = framed(numeric("97.0"))
    assert frame_type(encode_json(frame)) == FRAME_TYPE
    assert frame_type(encode_compact(frame)) == COMPACT_TYPE
    assert decode_frame(encode_json(frame)) == decode_frame(encode_compact(frame))


def test_unseen_monitors_take_at_most_sixteen_bytes_a_second() -> None:
    sizes = [len(assert_kept(frame)) for frame in sample_frames()]
    assert max(sizes) <= BYTES_PER_MONITOR_SECOND * 6 * 10
    assert not known_words() & words(sample_frames())


def known_words() -> set[str]:
    dictionary = newest()
    assert dictionary is not None
    return set(dictionary.content.decode("latin-1").replace('"', " ").split())


def words(frames: list[FrameEnvelope]) -> set[str]:
    """What only these boxes are called, and their devices; what IEEE and UCUM name is anybody's."""
    found: set[str] = set()
    for frame in frames:
        found |= {frame.gateway, frame.site, frame.spool}
        for one in decode_observations(frame):
            found |= {one.device, one.place, one.driver}
    return found


@pytest.mark.parametrize("device", WAVES)
def test_a_sample_of_a_curve_takes_at_most_a_byte(device: str) -> None:
    frame = wave_frame(device)
    assert len(assert_kept(frame)) <= BYTES_PER_SAMPLE * samples_of(frame)


@pytest.mark.parametrize("seconds", [1, 60])
def test_short_and_long_frames_come_back_as_they_were(seconds: int) -> None:
    assert_kept(monitor_frame(5, seconds=seconds))
