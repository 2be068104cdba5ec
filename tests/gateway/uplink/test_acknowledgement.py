"""Acknowledgements delete data: forged, foreign, old and jumping ones free nothing (law 5)."""

import contextlib
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.observation import Lane
from gateway.spool.spool import Position
from gateway.uplink.acknowledgement import Judge, Refused
from gateway.uplink.schema import ACK_HOLES, Ack, Malformed, decode_ack, encode, sign_ack, verify_ack
from tests.gateway.uplink.fake_spool import FakeSpool, numeric

KEY, OTHER_KEY = b"k" * 32, b"b" * 32
SITE, GATEWAY = "site-1", "gw-test"
TOPIC = f"jisr/v1/{SITE}/{GATEWAY}/ack/numeric"


def ack(**changes: object) -> bytes:
    """A good acknowledgement of 1..5 unless changed; the MAC is made last, over what is then said."""
    said = {
        "key": KEY,
        "site": SITE,
        "gateway": GATEWAY,
        "lane": "numeric",
        "spool": FakeSpool().id,
        "epoch": 1,
        "upto": 5,
        "holes": (),
    } | changes
    key, site, gateway, lane = (said.pop(name) for name in ("key", "site", "gateway", "lane"))
    return encode(sign_ack(key, site, gateway, lane, **said))  # type: ignore[arg-type]


def tampered(**changes: object) -> bytes:
    """A good one, changed after it was signed."""
    return encode(msgspec.structs.replace(msgspec.json.decode(ack(), type=Ack), **changes))


@pytest.fixture
def spool() -> FakeSpool:
    found = FakeSpool()
    for value in range(10):
        found.put(numeric(str(value)))
    return found


@pytest.fixture
def judge(spool: FakeSpool) -> Judge:
    found = Judge(SITE, GATEWAY, spool)
    found.note_sent("numeric", 1, 8)
    return found


FORGED: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    "no mac": ("mac", TOPIC, lambda: tampered(mac="")),
    "another key": ("mac", TOPIC, lambda: ack(key=OTHER_KEY)),
    "upto raised": ("mac", TOPIC, lambda: tampered(upto=8)),
    "hole removed": ("mac", TOPIC, lambda: tampered(holes=((1, 1),))),
    "another site's": ("mac", TOPIC, lambda: ack(site="site-2")),
    "another gateway's": ("mac", TOPIC, lambda: ack(gateway="gw-2")),
    "another lane's": ("mac", TOPIC, lambda: ack(lane="event")),
    "another spool": ("spool", TOPIC, lambda: ack(spool="0000000000000000")),
    "future epoch": ("epoch", TOPIC, lambda: ack(epoch=2)),
    "beyond what was sent": ("beyond", TOPIC, lambda: ack(upto=9)),
    "far beyond": ("beyond", TOPIC, lambda: ack(upto=2**63)),
    "negative": ("numbering", TOPIC, lambda: ack(upto=-1)),
    "epoch zero": ("numbering", TOPIC, lambda: ack(epoch=0)),
    "hole outside": ("holes", TOPIC, lambda: ack(holes=((4, 6),))),
    "hole reversed": ("holes", TOPIC, lambda: ack(holes=((3, 2),))),
    "holes overlap": ("holes", TOPIC, lambda: ack(holes=((1, 3), (3, 4)))),
    "not json": ("not_an_ack", TOPIC, lambda: b"\xff\x00"),
    "deep json": ("not_an_ack", TOPIC, lambda: b'{"x":' + b"[" * 3000),
    "too large": ("too_large", TOPIC, lambda: ack() + b" " * 5000),
    "wrong type": ("not_an_ack", TOPIC, lambda: ack().replace(b'"upto":5', b'"upto":"5"')),
    "foreign topic": ("topic", TOPIC.replace(GATEWAY, "gw-2"), ack),
    "no such lane": ("topic", TOPIC.replace("numeric", "all"), ack),
    "not an ack topic": ("topic", TOPIC.replace("ack/", "cmd/"), ack),
    "not ours at all": ("topic", "x/y", ack),
}


@pytest.mark.parametrize("case", FORGED)
def test_forged_acknowledgements_are_refused(case: str, judge: Judge) -> None:
    reason, topic, make = FORGED[case]
    with pytest.raises(Refused) as caught:
        judge.judge(KEY, topic, make())
    assert caught.value.reason == reason


def test_a_good_one_is_believed(judge: Judge) -> None:
    verdict = judge.judge(KEY, TOPIC, ack(upto=8, holes=((2, 3),)))
    assert (verdict.lane, verdict.epoch, verdict.upto, verdict.holes) == ("numeric", 1, 8, ((2, 3),))


def test_a_repeated_one_is_old(judge: Judge, spool: FakeSpool) -> None:
    spool.acknowledge("numeric", 1, 5)
    with pytest.raises(Refused, match="old"):
        judge.judge(KEY, TOPIC, ack())


def test_an_earlier_epoch_counts_as_far_as_it_lies_on_disk_or_was_sent(spool: FakeSpool) -> None:
    spool.reopen()
    spool.put(numeric("1"))
    judge = Judge(SITE, GATEWAY, spool)
    assert judge.judge(KEY, TOPIC, ack(upto=10)).upto == 10  # on disk, sent in another life
    with pytest.raises(Refused, match="beyond"):
        judge.judge(KEY, TOPIC, ack(upto=11))
    judge.note_sent("numeric", 1, 4)
    verdict = judge.judge(KEY, TOPIC, ack(upto=11, holes=((2, 6), (8, 9))))
    assert (verdict.upto, verdict.holes) == (4, ((2, 4),))
    with pytest.raises(Refused, match="beyond"):
        judge.judge(KEY, TOPIC, ack(epoch=2, upto=1))


def test_what_is_remembered_of_old_epochs_is_bounded(spool: FakeSpool) -> None:
    judge = Judge(SITE, GATEWAY, spool)
    for epoch in range(1, 50):
        judge.note_sent("numeric", epoch, 1)
        spool.released = lambda _lane, at=epoch: Position(at, 0)  # type: ignore[method-assign,misc]
    assert len(judge._sent) <= 2


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(noise: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert decode_ack(noise).epoch >= 1


RANGES = st.lists(st.integers(1, 3000), min_size=2, max_size=300, unique=True).map(
    lambda numbers: [(a, b) for a, b in zip(sorted(numbers)[::2], sorted(numbers)[1::2], strict=False)]
)


@given(RANGES, st.sampled_from(["event", "numeric", "wave", "log"]))
def test_sign_and_verify(holes: list[tuple[int, int]], lane: Lane) -> None:
    signed = sign_ack(KEY, SITE, GATEWAY, lane, spool="ab", epoch=3, upto=4000, holes=holes)
    back = decode_ack(encode(signed))
    assert back == signed
    assert verify_ack(KEY, SITE, GATEWAY, lane, back)
    assert not verify_ack(OTHER_KEY, SITE, GATEWAY, lane, back)
    claimed = {n for n in range(1, back.upto + 1) if not any(a <= n <= b for a, b in back.holes)}
    assert len(back.holes) <= ACK_HOLES
    assert not any(a <= n <= b for n in claimed for a, b in holes)
