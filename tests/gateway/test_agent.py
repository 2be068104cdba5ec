"""The agent's own duties beside the tasks it starts."""

import asyncio
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest

from drivers.observation import AnyObservation, Gap
from gateway.agent import Agent
from gateway.config import Config, GatewayConfig, SpoolConfig, TlsFiles, UplinkConfig
from gateway.journal import Journal
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
        spool=SpoolConfig(path=str(tmp_path / "spool")),
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
