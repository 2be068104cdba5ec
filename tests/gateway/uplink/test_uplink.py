"""The task itself: whatever is wrong, it says so, keeps trying, and ends when it is told."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
import pytest

from gateway.uplink.identity import TlsFiles
from gateway.uplink.schema import Birth, Health
from gateway.uplink.uplink import Timing, Uplink, UplinkSettings
from simulators.central.lab_ca import LabAuthority
from tests.gateway.uplink.fake_spool import FakeSpool
from tests.gateway.uplink.journal import Memory
from tests.gateway.uplink.tls_server import Server, server_context

FAST = Timing(retry_first_s=0.01, retry_last_s=0.02, connack_s=0.2)


@pytest.fixture
def settings(tmp_path: Path) -> UplinkSettings:
    authority = LabAuthority(tmp_path / "ca")
    pair = authority.gateway("gw-test")
    tls = TlsFiles(str(authority.ca), str(pair.certificate), str(pair.key))
    return UplinkSettings("site-1", "gw-test", "mqtts://127.0.0.1:1", tls, ack_key=str(authority.ack_key()))


async def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end, "did not happen"
        await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"broker": "mqtt://127.0.0.1:1883"}, "PlainTextRefused"),
        ({"broker": "nonsense"}, "BrokerAddress"),
        ({"site": "a/b"}, "NameUnfit"),
        ({"gateway": "gw-other"}, "CertificateOther"),
        ({"ack_key": "/nowhere/ack.key"}, "FileMissing"),
        ({}, "BrokerRefuses"),
    ],
)
def test_what_prevents_a_connection_is_said_and_tried_again(
    changes: dict[str, str], kind: str, settings: UplinkSettings
) -> None:
    async def scenario() -> None:
        journal = Memory()
        uplink = Uplink(
            msgspec.structs.replace(settings, **changes),
            FakeSpool(),
            Birth,
            Health,
            journal,
            rng=Random(1),
            timing=FAST,
        )
        task = asyncio.create_task(uplink.run())
        await until(lambda: len(journal.said) >= 3)
        assert journal.kinds() == {kind}
        assert uplink.link.last_error == journal.said[0].text()
        assert not uplink.link.connected
        await uplink.stop(1.0)
        await asyncio.wait_for(task, 1)

    asyncio.run(scenario())


def test_without_platform_acknowledgement_no_key_is_needed(settings: UplinkSettings) -> None:
    async def scenario() -> None:
        journal = Memory()
        mine = msgspec.structs.replace(settings, ack="broker", ack_key="")
        uplink = Uplink(mine, FakeSpool(), Birth, Health, journal, timing=FAST)
        task = asyncio.create_task(uplink.run())
        await until(lambda: journal.said)
        assert journal.kinds() == {"BrokerRefuses"}
        await uplink.stop(1.0)
        await task

    asyncio.run(scenario())


def test_stop_before_run_and_while_waiting(settings: UplinkSettings) -> None:
    async def scenario() -> None:
        uplink = Uplink(settings, FakeSpool(), Birth, Health, Memory(), timing=Timing(retry_first_s=300))
        await uplink.stop(5.0)
        await asyncio.wait_for(uplink.run(), 1)
        uplink = Uplink(settings, FakeSpool(), Birth, Health, Memory(), timing=Timing(retry_first_s=300))
        task = asyncio.create_task(uplink.run())
        await until(lambda: uplink.link.last_error)
        await uplink.stop(5.0)
        await asyncio.wait_for(task, 1)

    asyncio.run(scenario())


def test_stop_during_a_slow_connection_is_bounded(settings: UplinkSettings, tmp_path: Path) -> None:
    authority = LabAuthority(tmp_path / "ca2")
    server = Server(server_context(authority, authority.server()))
    pair = authority.gateway("gw-test")
    tls = TlsFiles(str(authority.ca), str(pair.certificate), str(pair.key))

    async def scenario() -> None:
        journal = Memory()
        mine = msgspec.structs.replace(settings, broker=f"mqtts://localhost:{server.port}", tls=tls)
        uplink = Uplink(mine, FakeSpool(), Birth, Health, journal, timing=Timing(connack_s=60))
        task = asyncio.create_task(uplink.run())
        await until(lambda: server.inside)
        await uplink.stop(0.05)
        assert journal.events == ["uplink_stop_late"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    server.close()
