"""The platform's word about the time: believed once, from the platform, in answer to this box's last question."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import Clock, Fix, Source
from gateway.floor import LATEST_S, RELEASED_S
from gateway.uplink import errors
from gateway.uplink.envelope import Malformed
from gateway.uplink.schema import encode
from gateway.uplink.time import (
    TimeAnswer,
    TimeRequest,
    decode_time_answer,
    decode_time_request,
    parse_utc,
    sign_time,
    verify_time,
)
from gateway.uplink.timekeeper import ASK_AGAIN_S, ASK_S, ROUND_TRIP_S, NoTime, Timekeeper

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
SITE, GATEWAY = "site-1", "gw-test"
TOPIC = f"jisr/v1/{SITE}/{GATEWAY}/ack/time"
TRUE_S = RELEASED_S + 1e6


class Box:
    def __init__(self, off_s: float = -TRUE_S) -> None:
        self.true_s = 0.0
        self.clock = Clock(source=Source(lambda: self.true_s, lambda: TRUE_S + self.true_s + off_s, lambda: None))
        self.keeper = Timekeeper(SITE, GATEWAY, self.clock)

    def ask(self) -> str:
        message = self.keeper.ask()
        assert message.topic == f"jisr/v1/{SITE}/{GATEWAY}/time"
        assert not message.retain
        return decode_time_request(message.payload).nonce

    def answer(self, nonce: str, **changes: Any) -> bytes:
        right: dict[str, Any] = {"key": KEY, "site": SITE, "gateway": GATEWAY, "wall_s": TRUE_S + self.true_s}
        return encode(sign_time(nonce=nonce, **(right | changes)))

    def refuses(self, payload: bytes, topic: str = TOPIC, key: bytes = KEY) -> str:
        before, counted = self.clock.quality, self.keeper.refused.total()
        with pytest.raises(NoTime) as caught:
            self.keeper.hear(key, topic, payload)
        assert self.clock.quality == before
        assert self.keeper.refused.total() == counted + 1
        return caught.value.reason


def test_an_answer_sets_the_clock_to_the_middle_of_the_round_trip() -> None:
    box = Box()
    assert box.keeper.is_due()
    nonce = box.ask()
    assert not box.keeper.is_due()
    box.true_s += 0.3
    payload = box.answer(nonce)
    box.true_s += 0.1
    box.keeper.hear(KEY, TOPIC, payload)
    now = box.clock.now()
    assert (now.trust.quality, now.trust.error_ms) == ("signed", 201)
    assert box.clock.wall() == pytest.approx(TRUE_S + 0.5)  # really 0.4: within the error that is told


@given(
    out_s=st.floats(0, ROUND_TRIP_S / 2),
    back_s=st.floats(0, ROUND_TRIP_S / 2),
    off_s=st.floats(-TRUE_S, 2e9 - TRUE_S),
)
def test_the_error_told_holds_however_the_delay_is_shared(out_s: float, back_s: float, off_s: float) -> None:
    box = Box(off_s)
    nonce = box.ask()
    box.true_s += out_s
    payload = box.answer(nonce)
    box.true_s += back_s
    box.keeper.hear(KEY, TOPIC, payload)
    error_ms = box.clock.now().trust.error_ms
    assert error_ms is not None
    assert abs(box.clock.wall() - TRUE_S - box.true_s) * 1000 <= error_ms + 0.5


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda box, nonce: box.answer(nonce, key=OTHER_KEY), "mac"),
        (lambda box, nonce: box.answer(nonce, gateway="gw-other"), "mac"),
        (lambda box, nonce: box.answer(nonce, site="site-2"), "mac"),
        (lambda box, nonce: box.answer(nonce).replace(b"T", b"t"), "mac"),
        (lambda box, nonce: encode(TimeAnswer(nonce, "2026-12-01T00:00:00.000Z")), "mac"),
        (lambda box, _nonce: box.answer("0" * 32), "nonce"),
        (lambda box, _nonce: box.answer(""), "nonce"),
        (lambda box, nonce: box.answer(nonce, wall_s=RELEASED_S - 1), "floor"),
        (lambda box, nonce: box.answer(nonce, wall_s=0.0), "floor"),
        (lambda box, nonce: box.answer(nonce, wall_s=LATEST_S), "implausible"),
        (lambda _box, _nonce: b"", "not_a_time_answer"),
        (lambda _box, _nonce: b"[" * 1000, "not_a_time_answer"),
        (lambda _box, _nonce: b'{"nonce":1,"utc":"","mac":""}', "not_a_time_answer"),
        (lambda _box, _nonce: b" " * 1025, "too_large"),
    ],
)
def test_what_is_not_believed(spoil: Callable[[Box, str], bytes], reason: str) -> None:
    box = Box()
    nonce = box.ask()
    assert box.refuses(spoil(box, nonce)) == reason
    box.keeper.hear(KEY, TOPIC, box.answer(nonce))  # the right one still counts
    assert box.clock.quality == "signed"


def test_a_signed_word_that_is_no_time() -> None:
    box = Box()
    nonce = box.ask()
    answer = sign_time(KEY, SITE, GATEWAY, nonce, TRUE_S)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.uplink.timekeeper.verify_time", lambda *_: True)
        assert box.refuses(encode(msgspec.structs.replace(answer, utc="yesterday"))) == "utc"


def test_an_answer_counts_once_and_only_for_the_last_question() -> None:
    box = Box()
    first = box.answer(box.ask())
    second = box.answer(box.ask())
    assert box.refuses(first) == "nonce"
    box.keeper.hear(KEY, TOPIC, second)
    box.true_s += 5
    assert box.refuses(second) == "nonce"  # replayed
    assert box.refuses(box.answer("")) == "nonce"


def test_a_slow_answer_says_too_little() -> None:
    box = Box()
    nonce = box.ask()
    payload = box.answer(nonce)
    box.true_s += ROUND_TRIP_S + 0.1
    assert box.refuses(payload) == "slow"
    assert box.clock.quality == "floor"


def test_another_topic_or_no_key_sets_no_clock() -> None:
    box = Box()
    payload = box.answer(box.ask())
    assert box.refuses(payload, topic=TOPIC.replace(GATEWAY, "gw-other")) == "topic"
    assert box.refuses(encode(sign_time(b"", SITE, GATEWAY, "0" * 32, TRUE_S)), key=b"") == "mac"


def test_it_asks_again_sooner_while_nobody_answers() -> None:
    box = Box()
    nonce = box.ask()
    box.true_s += ASK_AGAIN_S - 1
    assert not box.keeper.is_due()
    box.true_s += 1
    assert box.keeper.is_due()
    nonce = box.ask()
    box.keeper.hear(KEY, TOPIC, box.answer(nonce))
    box.true_s += ASK_S - 1
    assert not box.keeper.is_due()
    box.true_s += 1
    assert box.keeper.is_due()


def test_a_new_time_judges_the_connection_that_stands() -> None:
    box = Box()

    def over() -> None:
        raise errors.ServerExpired(now="2026")

    box.keeper.recheck = over
    with pytest.raises(errors.ServerExpired):
        box.keeper.hear(KEY, TOPIC, box.answer(box.ask()))
    assert box.clock.quality == "signed"
    box.clock.accept(Fix(0.0, TRUE_S, 0))
    box.true_s += 1
    nonce = box.ask()
    payload = box.answer(nonce)
    box.true_s += 8
    box.keeper.hear(KEY, TOPIC, payload)  # a worse one changes nothing, and judges nothing


# -- the messages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not_a_time_request"),
        (b"{}", "not_a_time_request"),
        (b'{"nonce":"' + b"0" * 31 + b'"}', "nonce"),
        (b'{"nonce":"' + b"0" * 33 + b'"}', "nonce"),
        (b'{"nonce":"' + b"G" * 32 + b'"}', "nonce"),
        (b'{"nonce":"jisr-ack-1\\nsite\\n"}', "nonce"),
        (b'{"nonce":"' + b"0" * 32 + b'\\n"}', "nonce"),
        (b" " * 1025, "too_large"),
    ],
)
def test_nothing_but_a_nonce_is_ever_signed(payload: bytes, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode_time_request(payload)
    assert caught.value.reason == reason


def test_the_mac_is_the_one_that_is_published() -> None:
    """docs/platform/acknowledgement.md has this example, with openssl's answer."""
    nonce = "00112233445566778899aabbccddeeff"
    answer = sign_time(bytes(range(32)), "chu-rabat", "gw-rabat-017", nonce, parse_utc("2026-11-24T09:15:02.125Z"))
    assert answer.utc == "2026-11-24T09:15:02.125Z"
    assert answer.mac == "2bd12276373f05a768adadaf026ffe76b9bb51de8374d300e642d60591c45c64"
    assert verify_time(bytes(range(32)), "chu-rabat", "gw-rabat-017", decode_time_answer(encode(answer)))
    assert decode_time_request(encode(TimeRequest(nonce))) == TimeRequest(nonce)


@pytest.mark.parametrize("text", ["", "2026-11-25", "2026-11-25T09:15:02Z", "2026-02-30T00:00:00.000Z"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(Malformed):
        parse_utc(text)
