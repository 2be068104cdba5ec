"""A real agent and a simulated analyzer, with no platform: commissioned while it runs, its next results are valid."""

import asyncio
from pathlib import Path

import pytest

from drivers.observation import Result
from gateway import language
from gateway.commissioning import basis_of, proof_path
from gateway.config import load, resolved_profile
from provisioning.attach import lines
from provisioning.command import main
from provisioning.latest import chosen, is_comparable, read_latest
from simulators.central.broker import find_mosquitto
from tests.e2e.line import ANALYZER, Line, running_line

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
WAIT_S = 60.0
TRIES = 20


def _ready(seen: list[Result]) -> bool:
    return len(chosen(list(reversed(seen)))) == 3


def _told(line: Line, wanted: str) -> list[Result]:
    """What the agent shows, until three results that can be compared have come, and one of them is as wanted."""

    async def listen() -> list[Result]:
        heard: list[Result] = []
        async with asyncio.timeout(WAIT_S):
            async for each in lines(line.folder / "agent.sock", ("observation",), "labo"):
                if isinstance(each.observation, Result) and is_comparable(each.observation):
                    heard.append(each.observation)
                if _ready(heard) and heard[-1].validity == wanted:
                    break
        return heard

    return asyncio.run(listen())


def _commission(line: Line) -> int:
    """As a script does it that knows the display: by what came last; newer results may have come meanwhile."""
    file = line.folder / "jisr.toml"
    config = load(file)
    (device,) = config.device
    latest = read_latest(config, file, "labo", basis_of(resolved_profile(device), device.options))
    shown = [f"{one.test}={one.comparator}{one.value} {one.unit or one.vendor_unit}" for one in chosen(latest)]
    words = [word for each in shown for word in ("--shown", each)]
    return main(["device", "commission", "labo", "--config", str(file), "--by", "A. Naciri", "--lang", "en", *words])


def test_commissioned_while_it_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_line(tmp_path) as line:
        line.plug_in(ANALYZER)
        line.start_agent()
        line.until(lambda: line.feed.promised, "the first results are on disk")
        before = _told(line, "questionable")
        assert {one.validity for one in before} == {"questionable"}
        assert "not_commissioned" in {one.reason for one in before}
        assert line.events("not_commissioned")

        assert any(_commission(line) == 0 for _ in range(TRIES)), capsys.readouterr().err
        assert proof_path(line.spool, "labo").exists()

        after = _told(line, "valid")
        assert "not_commissioned" not in {one.reason for one in after}
        line.until(lambda: line.events("commissioned"), "the agent says so")
    language.choose("en")
