"""Replaced files are noticed once they are whole, at rest and ours."""

import asyncio
import shutil
from pathlib import Path

import pytest

from gateway.uplink import uplink as uplink_module
from gateway.uplink.identity import TlsFiles
from gateway.uplink.renewal import Renewal
from gateway.uplink.uplink import Timing
from simulators.central.broker import find_mosquitto
from simulators.central.lab_ca import CLIENT, LabAuthority, Pair
from tests.gateway.uplink.fake_spool import numeric
from tests.gateway.uplink.test_delivery import Bench, running, until

GATEWAY = "gw-test"


class Box:
    """A box's files, and what replaces them."""

    def __init__(self, folder: Path) -> None:
        self.authority = LabAuthority(folder / "ca")
        self.folder, self.pair, self.issued = folder, Pair(folder / "box.pem", folder / "box.key"), 0
        self.ack_key = folder / "ack.key"
        self.ack_key.write_text("00" * 32, encoding="ascii")
        self.put(self.issue())
        files = TlsFiles(str(self.authority.ca), str(self.pair.certificate), str(self.pair.key))
        self.renewal = Renewal(files, str(self.ack_key), GATEWAY)

    def issue(self, name: str = GATEWAY) -> Pair:
        self.issued += 1
        return self.authority.issue(f"new-{self.issued}", name, purposes=CLIENT)

    def put(self, new: Pair, *, with_key: bool = True) -> None:
        for source, target in list(zip(new, self.pair, strict=True))[: 2 if with_key else 1]:
            beside = target.with_suffix(".new")
            shutil.copy(source, beside)
            beside.replace(target)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_files_in_use_are_not_new(box: Box) -> None:
    assert [box.renewal.is_due() for _ in range(3)] == [False] * 3


def test_a_new_pair_is_due_at_the_second_look_and_until_it_is_used(box: Box) -> None:
    box.put(box.issue())
    assert [box.renewal.is_due() for _ in range(3)] == [False, True, True]
    box.renewal.note()
    assert not box.renewal.is_due()


def test_half_a_pair_waits_for_the_other_half(box: Box) -> None:
    new = box.issue()
    box.put(new, with_key=False)
    assert [box.renewal.is_due() for _ in range(3)] == [False] * 3
    box.put(new)
    assert [box.renewal.is_due() for _ in range(2)] == [False, True]


def test_a_certificate_of_another_box_is_not_due(box: Box) -> None:
    box.put(box.issue("gw-other"))
    assert [box.renewal.is_due() for _ in range(3)] == [False] * 3


@pytest.mark.parametrize("name", ["box.key", "ack.key"])
def test_a_file_that_is_gone_is_not_due(box: Box, name: str) -> None:
    (box.folder / name).unlink()
    assert [box.renewal.is_due() for _ in range(3)] == [False] * 3


def test_a_new_acknowledgement_key_is_due(box: Box) -> None:
    box.ack_key.write_text("11" * 32 + "\n", encoding="ascii")
    assert [box.renewal.is_due() for _ in range(2)] == [False, True]


def test_a_damaged_acknowledgement_key_is_not_due(box: Box) -> None:
    box.ack_key.write_text("11", encoding="ascii")
    assert [box.renewal.is_due() for _ in range(3)] == [False] * 3


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
def test_an_uplink_changes_to_the_new_pair_without_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink_module, "LOOK_S", 0.02)
    authority = LabAuthority(tmp_path / "ca")
    authority.gateway(GATEWAY)
    bench = Bench(tmp_path, authority)

    async def scenario() -> None:
        async with running(bench):
            consumer = bench.consume()
            uplink = bench.connect(timing=Timing(retry_first_s=3600.0))
            bench.spool.put(numeric("1"))
            await until(lambda: bench.spool.waiting() == 0)
            new = authority.issue("new", GATEWAY, san=(f"urn:jisr:gateway:{GATEWAY}",), purposes=CLIENT)
            for source, target in zip(new, authority.gateway(GATEWAY), strict=True):
                source.replace(target)
            await until(lambda: uplink.counters.connections == 2)
            bench.spool.put(numeric("2"))
            await until(lambda: bench.spool.waiting() == 0)
            assert consumer.ledger().rows == 2
            assert "offline" not in consumer.box(GATEWAY, "state")
            assert bench.journal.kinds() <= {"NobodyListens"}

    try:
        asyncio.run(scenario())
    finally:
        bench.stop_consumer()
        bench.broker.stop()


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
def test_a_new_pair_ends_the_wait_after_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink_module, "LOOK_S", 0.02)
    authority = LabAuthority(tmp_path / "ca")
    old = authority.gateway(GATEWAY)
    bench = Bench(tmp_path, authority)
    bench.with_broker(crlfile=str(authority.crl([old])))

    async def scenario() -> None:
        async with running(bench):
            uplink = bench.connect(timing=Timing(retry_first_s=3600.0))
            await until(lambda: uplink.link.last_error)
            new = authority.issue("new", GATEWAY, san=(f"urn:jisr:gateway:{GATEWAY}",), purposes=CLIENT)
            for source, target in zip(new, old, strict=True):
                source.replace(target)
            await until(lambda: uplink.link.connected)

    try:
        asyncio.run(scenario())
    finally:
        bench.broker.stop()
