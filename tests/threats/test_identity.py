"""A box with a good certificate cannot speak, end or listen as another: the broker and the consumer see to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from drivers.observation import AnyObservation
from gateway.uplink.compact import encode_compact
from gateway.uplink.envelope import FrameEnvelope, encode_json
from gateway.uplink.schema import consumer_filters, decode_ack, encode
from simulators.central.broker import CONSUMER, Mosquitto, find_mosquitto
from simulators.central.consumer import Consumer
from simulators.central.lab_ca import LabAuthority
from tests.simulators.central.test_store import frame
from tests.threats.caller import DENIED, FAILURE, Caller, until

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")

A, B = "gw-a", "gw-b"
ROOT_A, ROOT_B = f"jisr/v1/site-1/{A}", f"jisr/v1/site-1/{B}"
OF_A = (
    *("birth", "state", "health", "time", "live/event", "live/numeric", "live/wave", "live/log"),
    *("hist/event", "hist/numeric", "ack/event", "ack/time", "cmd/restart", "other"),
)
OF_NOBODY = (f"{ROOT_B}/ack/event", f"{ROOT_B}/ack/time", f"{ROOT_B}/cmd/restart", "jisr/v1/meta/dict/00000001", "x")
FILTERS = (
    *(f"{ROOT_A}/ack/+", f"{ROOT_A}/cmd/+", f"{ROOT_A}/#", "jisr/v1/+/+/ack/+", "jisr/v1/#", "#"),
    *(f"$share/thief/{ROOT_A}/ack/+", "$share/thief/jisr/v1/#"),
)


class Town:
    """One broker with the project's rules, and whoever calls it."""

    def __init__(self, folder: Path) -> None:
        self.authority = LabAuthority(folder / "pki")
        self.broker = Mosquitto(folder / "broker", self.authority)
        self.broker.start()
        self._callers: list[Caller] = []

    def box(self, gateway: str, client_id: str = "", will: tuple[str, bytes] | None = None) -> Caller:
        """A call with that gateway's certificate."""
        pair = self.authority.gateway(gateway)
        found = Caller(self.broker.port, self.authority, pair, client_id or gateway, will=will)
        self._callers.append(found)
        return found

    def platform(self) -> Caller:
        """The consumer's certificate, by hand, and everything that passes."""
        found = Caller(self.broker.port, self.authority, self.authority.consumer(CONSUMER), CONSUMER)
        self._callers.append(found)
        assert found.subscribe("jisr/v1/#") < FAILURE
        return found

    def hang_up(self) -> None:
        """All calls end."""
        for caller in self._callers:
            caller.close()
        self._callers.clear()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    found = Town(tmp_path / "town")
    yield found
    found.hang_up()
    found.broker.stop()


def test_a_foreign_client_id_takes_nothing_over(town: Town) -> None:
    platform, owner = town.platform(), town.box(A, will=(f"{ROOT_A}/state", b"offline"))
    thief = town.box(B, client_id=A)
    assert owner.subscribe(f"{ROOT_A}/ack/+") < FAILURE
    assert owner.publish(f"{ROOT_A}/birth") < FAILURE
    assert thief.publish(f"{ROOT_B}/birth") < FAILURE
    assert (owner.ends, thief.ends) == (0, 0)
    until(lambda: (f"{ROOT_B}/birth", b"{}") in platform.heard, "both speak")
    assert (f"{ROOT_A}/state", b"offline") not in platform.heard
    assert "already connected" not in town.broker.log()


def test_nothing_is_published_in_anothers_name(town: Town) -> None:
    platform, thief = town.platform(), town.box(B)
    for retain in (False, True):
        codes = {rest: thief.publish(f"{ROOT_A}/{rest}", b"forged", retain=retain) for rest in OF_A}
        assert codes == dict.fromkeys(OF_A, DENIED)
        codes = {topic: thief.publish(topic, b"forged", retain=retain) for topic in OF_NOBODY}
        assert codes == dict.fromkeys(OF_NOBODY, DENIED)
    assert thief.publish(f"{ROOT_B}/health", b"last") < FAILURE
    until(lambda: (f"{ROOT_B}/health", b"last") in platform.heard, "what is its own arrives")
    assert b"forged" not in [payload for _, payload in platform.heard]


@pytest.mark.parametrize("wanted", FILTERS)
def test_nothing_meant_for_another_is_read(town: Town, wanted: str) -> None:
    platform, owner, thief = town.platform(), town.box(A), town.box(B)
    assert owner.subscribe(f"{ROOT_A}/ack/+") < FAILURE
    assert owner.subscribe(f"{ROOT_A}/cmd/+") < FAILURE
    thief.subscribe(wanted)  # whatever the broker says to it: what counts is what comes
    thief.subscribe(f"{ROOT_B}/ack/+")
    meant = [(f"{ROOT_A}/ack/event", b"secret"), (f"{ROOT_A}/ack/time", b"secret"), (f"{ROOT_A}/cmd/x", b"secret")]
    for topic, payload in meant:
        assert platform.publish(topic, payload) < FAILURE
    assert owner.publish(f"{ROOT_A}/live/event", b"secret") < FAILURE
    platform.publish(f"{ROOT_B}/ack/event", b"own")
    until(lambda: sorted(owner.heard) == sorted(meant), "its owner reads it")
    until(lambda: (f"{ROOT_B}/ack/event", b"own") in thief.heard, "what is its own arrives")
    assert b"secret" not in [payload for _, payload in thief.heard]


def test_a_retained_state_of_another_is_not_read(town: Town) -> None:
    assert town.box(A).publish(f"{ROOT_A}/state", b"secret", retain=True) < FAILURE
    thief, platform = town.box(B), town.platform()
    until(lambda: (f"{ROOT_A}/state", b"secret") in platform.heard, "it is retained")
    thief.subscribe("jisr/v1/#")
    platform.publish(f"{ROOT_B}/ack/event", b"own")
    until(lambda: (f"{ROOT_B}/ack/event", b"own") in thief.heard, "what is its own arrives")
    assert b"secret" not in [payload for _, payload in thief.heard]


def test_a_thief_does_not_know_the_consumers_share(town: Town) -> None:
    owner, thief = town.box(A), town.box(B)
    pair = town.authority.consumer(CONSUMER)
    with Caller(town.broker.port, town.authority, pair, CONSUMER) as shared:
        for one in consumer_filters("5e17a9c0"):
            assert shared.subscribe(one) < FAILURE
        for one in (*consumer_filters("platform"), "$share/other/jisr/v1/#"):
            thief.subscribe(one)
        sent = [b"%d" % number for number in range(20)]
        for payload in sent:
            assert owner.publish(f"{ROOT_A}/live/event", payload) < FAILURE
        until(lambda: len(shared.heard) >= len(sent), "all frames reach the platform")
        assert [payload for topic, payload in shared.heard if topic.startswith(f"{ROOT_A}/live")] == sent
    assert not [topic for topic, _ in thief.heard if topic.startswith(ROOT_A)]


def test_a_will_in_anothers_name_is_never_published(town: Town) -> None:
    platform, owner = town.platform(), town.box(A)
    town.box(B, will=(f"{ROOT_A}/state", b"forged")).break_off()
    until(lambda: f"Client {B} closed its connection" in town.broker.log(), "the broker notices")
    honest = town.box(B, will=(f"{ROOT_B}/state", b"gone"))
    honest.break_off()
    until(lambda: (f"{ROOT_B}/state", b"gone") in platform.heard, "a will of one's own is published")
    assert b"forged" not in [payload for _, payload in platform.heard]
    assert owner.ends == 0


@contextmanager
def consumer_of(town: Town, folder: Path, seen: list[AnyObservation], share: str = "") -> Iterator[Consumer]:
    """The reference consumer at that broker."""
    found = Consumer(
        folder / "central.db",
        port=town.broker.port,
        ca=town.authority.ca,
        identity=town.authority.consumer(CONSUMER),
        ack_key=town.authority.ack_key(),
        on_observation=seen.append,
        share=share,
    )
    found.start()
    assert found.ready.wait(10)
    yield found
    found.stop()
    found._client._reset_sockets()  # paho leaves its wake-up pair to the collector, which may warn


def test_a_thief_who_knows_the_share_delays_and_frees_nothing(town: Town, tmp_path: Path) -> None:
    """Mosquitto's acl_file has no rights for subscriptions: a frame given to the thief of a group reaches nobody.

    The platform's word does not cover it, so the box keeps it and sends it again.
    """
    owner, thief, wanted = town.box(A), town.box(B), set(range(1, 21))
    assert owner.subscribe(f"{ROOT_A}/ack/+") < FAILURE
    seen: list[AnyObservation] = []
    with consumer_of(town, tmp_path, seen, "platform") as consumer:
        for one in consumer_filters("platform"):
            thief.subscribe(one)
        stored: list[set[int]] = [set()]
        while stored[-1] != wanted:
            for first in sorted(wanted - stored[-1]):
                again = replace(frame(first, 1), gateway=A)
                assert owner.publish(f"{ROOT_A}/live/numeric", encode(again)) < FAILURE
            assert owner.publish(f"{ROOT_A}/birth", b"%d" % len(stored)) < FAILURE
            until(lambda: consumer.box(A, "birth") == str(len(stored)), "the birth behind the frames")
            stored.append({one.seq for one in seen})
            assert len(stored) < 50
        words = [decode_ack(payload) for _, payload in owner.heard]
    assert 0 < len(stored[1]) < len(wanted)  # something was taken away, or this shows nothing
    covered = [set(range(1, w.upto + 1)) - {n for a, z in w.holes for n in range(a, z + 1)} for w in words]
    assert all(one <= wanted for one in covered)
    assert any(one == stored[1] for one in covered)
    assert covered[-1] == wanted
    assert not [topic for topic, _ in thief.heard if topic.startswith(ROOT_A)]


@pytest.fixture
def centre(town: Town, tmp_path: Path) -> Iterator[tuple[Consumer, list[AnyObservation]]]:
    seen: list[AnyObservation] = []
    with consumer_of(town, tmp_path, seen) as found:
        yield found, seen


@pytest.mark.parametrize("encoding", [encode_json, encode_compact])
@pytest.mark.parametrize(("site", "name"), [("site-1", A), ("site-2", B)])
def test_the_consumer_refuses_what_names_another_inside(
    town: Town,
    centre: tuple[Consumer, list[AnyObservation]],
    encoding: Callable[[FrameEnvelope], bytes],
    site: str,
    name: str,
) -> None:
    consumer, seen = centre
    owner, thief = town.box(A), town.box(B)
    for box, root in ((owner, ROOT_A), (thief, ROOT_B)):
        assert box.subscribe(f"{root}/ack/+") < FAILURE
    forged = replace(frame(1, 3), gateway=name, site=site)
    assert thief.publish(f"{ROOT_B}/live/numeric", encoding(forged)) < FAILURE
    until(lambda: consumer.refused, "it is refused")
    assert consumer.refused == {"foreign": 1}
    assert consumer.ledger().rows == 0
    honest = replace(frame(1, 1), gateway=B, spool="b0")
    assert thief.publish(f"{ROOT_B}/live/numeric", encode(honest)) < FAILURE
    until(lambda: thief.heard, "an honest frame is acknowledged")
    assert len(thief.heard) == 1
    assert b'"b0"' in thief.heard[0][1]
    assert owner.heard == []
    assert [(one.gateway, one.seq) for one in seen] == [(B, 1)]
