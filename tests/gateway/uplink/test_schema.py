"""The published contract: what goes out comes back, what is not of it is refused, and nothing is unbounded."""

import contextlib
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.observation import Numeric
from gateway.uplink import topics
from gateway.uplink.schema import (
    FRAME_LIMIT_BYTES,
    Birth,
    FrameEnvelope,
    Malformed,
    State,
    canonical,
    decode_envelope,
    decode_key,
    decode_observations,
    encode,
)
from tests.gateway.uplink.fake_spool import numeric


def envelope(payload: bytes, count: int = 1, **changes: object) -> FrameEnvelope:
    frame = FrameEnvelope("gw-test", "site-1", "00ff", 3, "numeric", 7, count, msgspec.Raw(payload))
    return msgspec.structs.replace(frame, **changes)


def test_a_frame_keeps_the_digits_and_gets_its_numbers() -> None:
    seen = [numeric("97.0"), numeric("0.50")]
    payload = b"[" + b",".join(canonical(one).encode() for one in seen) + b"]"
    wire = encode(envelope(payload, 2))
    assert payload in wire  # embedded, not encoded again
    back = decode_observations(decode_envelope(wire))
    assert [(one.gateway, one.epoch, one.lane, one.seq) for one in back] == [
        ("gw-test", 3, "numeric", 7),
        ("gw-test", 3, "numeric", 8),
    ]
    first = back[0]
    assert isinstance(first, Numeric)
    assert str(first.value) == "97.0"
    assert b'"boot"' not in wire
    assert b'"v":1' in wire


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"", "not_a_frame"),
        (b"{}", "not_a_frame"),
        (b" " * (FRAME_LIMIT_BYTES + 1), "too_large"),
        (b'{"x":' + b"[" * 100_000, "not_a_frame"),
        (encode(envelope(b"[]", v=2)), "version"),
        (encode(envelope(b"[]", first=0)), "numbering"),
        (encode(envelope(b"[]", 0)), "numbering"),
        (encode(envelope(b"[]", epoch=0)), "numbering"),
    ],
)
def test_what_is_no_frame(wire: bytes, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode_envelope(wire)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"[]", "count"), (b'[{"kind":"spell"}]', "observations"), (b"{}", "observations"), (b"[1]", "observations")],
)
def test_what_are_no_observations(payload: bytes, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode_observations(envelope(payload))
    assert caught.value.reason == reason


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_refused(noise: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert decode_envelope(noise).epoch >= 1


def test_newer_fields_are_passed_over() -> None:
    later = encode(State("online", 5)).replace(b"{", b'{"mood":"new",', 1)
    assert msgspec.json.decode(later, type=State) == State("online", 5)
    assert msgspec.json.decode(encode(Birth()), type=Birth) == Birth()


@pytest.mark.parametrize("text", ["", "00", "zz" * 32, "00" * 33, "é" * 64])
def test_keys_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        decode_key(text)


def test_key() -> None:
    assert decode_key("ab" * 32 + "\n") == b"\xab" * 32


@pytest.mark.parametrize("name", ["", "a/b", "a+b", "#", "a b", "é", "x" * 65, "a\n", "a\0"])
def test_names_that_cannot_stand_in_a_topic(name: str) -> None:
    assert not topics.is_segment(name)
    assert topics.split_topic(f"jisr/v1/{name}/gw/live/numeric") in (None, ("a", "b", "gw/live/numeric"))


def test_topics() -> None:
    assert topics.own_topic("s", "g", "birth") == "jisr/v1/s/g/birth"
    assert topics.frame_topic("s", "g", "hist", "wave") == "jisr/v1/s/g/hist/wave"
    assert topics.ack_topic("s", "g", "log") == "jisr/v1/s/g/ack/log"
    assert topics.ack_filter("s", "g") == "jisr/v1/s/g/ack/#"
    assert topics.split_topic("jisr/v1/s/g/live/wave") == ("s", "g", "live/wave")
    assert topics.split_topic("jisr/v2/s/g/live") is None
    assert topics.split_topic("jisr/v1/s") is None
    assert topics.lane_named("wave") == "wave"
    assert topics.lane_named("waves") is None


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**6), max_value=10**6))
def test_any_decimal_survives(value: Decimal) -> None:
    seen = msgspec.structs.replace(numeric("1"), value=value)
    payload = b"[" + canonical(seen).encode() + b"]"
    back = decode_observations(decode_envelope(encode(envelope(payload))))[0]
    assert isinstance(back, Numeric)
    assert str(back.value) == str(value)
