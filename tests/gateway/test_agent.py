"""The agent's own duties beside the tasks it starts."""

import asyncio
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest

from drivers.observation import AnyObservation, Device, Gap
from gateway.agent import Agent
from gateway.clock import Clock
from gateway.config import CapsConfig, Config, GatewayConfig, SpoolConfig, TlsFiles, UplinkConfig
from gateway.journal import Journal
from gateway.spool.cipher import device_secret, read_secret
from gateway.spool.room import CAPS
from gateway.spool.spool import DiskFull, Position, Recovery, Spool


def test_a_full_disk_at_the_start_delays_the_gap_records_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recovery never blocks the start (design, section 6): the devices are read, the records follow."""
    monkeypatch.setattr("gateway.agent.RESTART_S", 0.0)
    put = Spool.put
    tries: list[int] = []

    async def refuse_twice(self: Spool, observations: Sequence[AnyObservation]) -> None:
        tries.append(len(observations))
        if len(tries) <= 2:
            raise DiskFull
        await put(self, observations)

    monkeypatch.setattr(Spool, "put", refuse_twice)
    tls = TlsFiles(ca="none", certificate="none", key="none")
    config = Config(
        gateway=GatewayConfig(id="gw", site="site"),
        uplink=UplinkConfig(broker="mqtts://localhost:1", tls=tls, ack="broker"),
        spool=SpoolConfig(path=str(tmp_path / "spool"), secret=str(tmp_path / "secret")),
    )
    said = StringIO()

    async def go() -> None:
        agent = Agent(config, Journal(said))
        gap = Gap(gap_lane="numeric", gap_epoch=1, first=3, last=4, validity="valid", reason="damaged")
        agent._spool.recovery = Recovery(0, 0, 0, (gap,))
        stop = asyncio.Event()
        running = asyncio.create_task(agent.run(stop))
        while len(tries) < 3 and not running.done():
            await asyncio.sleep(0)
        await agent._spool.commit_now()
        stop.set()
        await running

    asyncio.run(go())
    events = [json.loads(line) for line in said.getvalue().splitlines()]
    spool = [one.get("kind", one["event"]) for one in events if one.get("subject") == "spool"]
    assert spool == ["DiskFull", "settled"]
    assert events[-1]["event"] == "stopped"
    assert events[-1]["committed"]["event"] == 1


async def lose_a_commit(folder: Path) -> None:
    """A spool of the box whose only commit is damaged."""
    spool = Spool.open(folder / "spool", secret=device_secret(folder / "secret"))
    await spool.put((Device(connection="connected", validity="valid"),))
    await spool.close()
    (path,) = (folder / "spool" / "event").glob("*.seg")
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)


def test_what_the_box_says_of_itself_carries_the_time_as_well(tmp_path: Path) -> None:
    """Law 7, also for what no device said: clock records, gaps of a recovery, gaps that the spool makes itself."""
    tls = TlsFiles(ca="none", certificate="none", key="none")
    config = Config(
        gateway=GatewayConfig(id="gw", site="site"),
        uplink=UplinkConfig(broker="mqtts://localhost:1", tls=tls, ack="broker"),
        spool=SpoolConfig(path=str(tmp_path / "spool"), secret=str(tmp_path / "secret")),
    )
    stored: list[AnyObservation] = []

    async def go() -> None:
        await lose_a_commit(tmp_path)
        agent = Agent(config, Journal(StringIO()))
        gap = Gap(gap_lane="numeric", gap_epoch=1, first=3, last=4, validity="valid", reason="disk_refused")
        agent._spool.listen(lambda _lane, _first, observations: stored.extend(observations))
        stop = asyncio.Event()
        running = asyncio.create_task(agent.run(stop))
        while len(stored) < 2 and not running.done():
            await asyncio.sleep(0)
        agent._spool._committer.owed.add(gap)
        stop.set()
        await running

    asyncio.run(go())
    said = sorted((str(one.__struct_config__.tag), one.reason) for one in stored)
    assert said == [("clock", ""), ("gap", "damaged"), ("gap", "disk_refused")]
    for one in stored:
        assert one.at.startswith("20")
        assert one.clock is not None
        assert one.clock.boot
        assert one.clock.mono_s > 0


def a_while(config: Config, said: StringIO, clock: Clock | None = None) -> Agent:
    """An agent until it has stored something, and its end."""

    async def go() -> Agent:
        agent = Agent(config, Journal(said), clock)
        stop = asyncio.Event()
        running = asyncio.create_task(agent.run(stop))
        while not agent._spool.committed["event"] and not running.done():
            await asyncio.sleep(0)
        stop.set()
        await running
        return agent

    return asyncio.run(go())


def test_the_spool_is_sealed_with_the_box_s_own_secret_and_bounded_by_its_caps(tmp_path: Path) -> None:
    config = Config(
        gateway=GatewayConfig(id="gw", site="site"),
        uplink=UplinkConfig(
            broker="mqtts://localhost:1", tls=TlsFiles(ca="none", certificate="none", key="none"), ack="broker"
        ),
        spool=SpoolConfig(
            path=str(tmp_path / "spool"), secret=str(tmp_path / "secret"), caps=CapsConfig(wave="77 MiB")
        ),
    )
    clock, said = Clock(memory=tmp_path / "clock"), StringIO()
    agent = a_while(config, said, clock)
    assert agent._spool._committer._means.caps == CAPS | {"wave": 77 << 20}
    spool = Spool.open(tmp_path / "spool", secret=read_secret(tmp_path / "secret"))
    frames = spool.frames_after("event", Position(0, 0), 9)
    assert {frame.boot for frame in frames} == {clock.now().trust.boot}
    assert spool.recovery.notices == ()
    asyncio.run(spool.close())
    (tmp_path / "secret").unlink()
    for _ in range(2):
        a_while(config, said)
    told = [one for one in map(json.loads, said.getvalue().splitlines()) if one.get("kind") == "SealedOtherwise"]
    assert len(told) == 1
    assert str(tmp_path / "spool") in told[0]["sentence"]
    assert read_secret(tmp_path / "secret")
