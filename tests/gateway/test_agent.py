"""The agent's own duties beside the tasks it starts."""

import asyncio
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest

from drivers.observation import AnyObservation, Device, Gap
from gateway.agent import Agent
from gateway.config import Config, GatewayConfig, SpoolConfig, TlsFiles, UplinkConfig
from gateway.journal import Journal
from gateway.spool.cipher import device_secret
from gateway.spool.spool import DiskFull, Recovery, Spool


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
