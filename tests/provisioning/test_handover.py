"""`jisr spool acknowledge` and the agent's inbox: the platform's word, carried back."""

import asyncio
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.inbox import Inbox
from gateway.journal import Journal
from provisioning import handover
from provisioning.command import main
from tests.gateway.spool.harness import run as loop
from tests.provisioning.ward import GATEWAY, SITE, Ward, dated, result, said


def inbox(ward: Ward, spool: Any, ack_key: Path | None = None) -> Inbox:
    return Inbox(ward.spool, SITE, GATEWAY, str(ack_key or ward.ack_key), spool, Journal(io.StringIO()))


def bring_back(capsys: Any, ward: Ward, *more: str) -> tuple[int, str, str]:
    return said(capsys, "spool", "acknowledge", str(ward.stick / "word.ack"), "--config", str(ward.config), *more)


def test_the_word_waits_for_an_agent_and_is_taken_at_its_start(ward: Ward, capsys: Any) -> None:
    ward.export()
    ward.take()
    capsys.readouterr()
    code, out, _ = bring_back(capsys, ward)
    assert (code, "at its next start" in out) == (0, True)

    async def start() -> None:
        spool = ward.opened()
        inbox(ward, spool).look()
        assert {lane: depth.observations for lane, depth in spool.depth().items() if depth.observations} == {}
        await spool.close()

    loop(start())
    (told,) = (ward.spool / "inbox").iterdir()
    assert json.loads(told.read_bytes()) == {"released": {"event": 10, "numeric": 20}, "refused": {}}


def test_a_running_agent_takes_it_at_once_also_of_its_own_epoch(ward: Ward, capsys: Any) -> None:
    async def work() -> None:
        spool = ward.opened()
        await spool.put(dated([result(99)], 9))
        assert await asyncio.to_thread(ward.export) == 0
        assert await asyncio.to_thread(ward.take) == 0
        capsys.readouterr()
        taking = asyncio.create_task(inbox(ward, spool).run())
        code = await asyncio.to_thread(
            main, ["spool", "acknowledge", str(ward.stick / "word.ack"), "--config", str(ward.config)]
        )
        taking.cancel()
        assert code == 0
        assert spool.depth()["event"].observations == 0
        await spool.close()

    loop(work())
    assert "31 observations released" in capsys.readouterr().out


def test_an_agent_that_does_not_answer(ward: Ward, monkeypatch: Any, capsys: Any) -> None:
    ward.export()
    ward.take()
    monkeypatch.setattr(handover, "ANSWER_S", 0.0)

    async def work() -> None:
        spool = ward.opened()
        assert await asyncio.to_thread(
            main, ["spool", "acknowledge", str(ward.stick / "word.ack"), "--config", str(ward.config)]
        )
        await spool.close()

    loop(work())
    assert "did not answer" in capsys.readouterr().out


def edited(word: bytes) -> bytes:
    return re.sub(rb'"upto":', b'"upto":9', word)


REFUSED: dict[str, tuple[int, str, Callable[[bytes], bytes]]] = {
    "another file": (2, "this is no acknowledgement file", lambda _: b"hello\n"),
    "empty": (2, "this is no acknowledgement file", lambda _: b""),
    "endless": (2, "this is no acknowledgement file", lambda word: word * 5000),
    "of another box": (
        1,
        "it holds nothing for the box",
        lambda word: word.replace(b"gw-rabat-017", b"gw-rabat-018"),
    ),
    "of another site": (1, "it holds nothing for the box", lambda word: word.replace(b"chu-rabat", b"chu-fes")),
    "of another spool": (1, "it holds nothing", lambda word: re.sub(rb'"spool":"\w+"', b'"spool":"00ff"', word)),
    "edited": (1, "nothing in it was signed with the key", edited),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_word_that_is_not_the_platforms(ward: Ward, capsys: Any, case: str) -> None:
    code, sentence, change = REFUSED[case]
    ward.export()
    ward.take()
    word = ward.stick / "word.ack"
    word.write_bytes(change(word.read_bytes()))
    found, out, err = bring_back(capsys, ward)
    assert (found, sentence in err) == (code, True)
    assert not (ward.spool / "inbox").exists()


def test_an_agent_judges_what_is_laid_there_by_anybody(ward: Ward) -> None:
    ward.export()
    ward.take()
    word = (ward.stick / "word.ack").read_bytes()

    async def work() -> None:
        spool = ward.opened()
        box = inbox(ward, spool)
        assert box.take(edited(word)).released == {}
        assert box.take(b"hello\n\xff\xfe x\n" + b"x" * 1000).refused == {"topic": 1}
        other = ward.folder / "other.key"
        other.write_text("00" * 32)
        assert inbox(ward, spool, other).take(word).refused == {"mac": 2}
        assert inbox(ward, spool, ward.folder / "absent").take(word).refused == {"key": 2}
        assert sum(depth.observations for depth in spool.depth().values()) == 30
        assert box.take(word).released == {"event": 10, "numeric": 20}
        assert box.take(word).refused == {"old": 2}
        await spool.close()

    loop(work())


def test_results_do_not_pile_up(ward: Ward) -> None:
    async def work() -> None:
        spool = ward.opened()
        box = inbox(ward, spool)
        folder = ward.spool / "inbox"
        folder.mkdir()
        for number in range(40):
            (folder / f"{number:03d}.ack").write_bytes(b"hello x\n")
        for _ in range(4):
            box.look()
        assert not list(folder.glob("*.ack"))
        assert len(list(folder.iterdir())) == 16
        await spool.close()

    loop(work())


def test_without_an_ack_key(ward: Ward, capsys: Any) -> None:
    ward.export()
    ward.take()
    ward.write_config('ack = "broker"')
    code, _, err = bring_back(capsys, ward)
    assert (code, "no ack_key" in err) == (2, True)
