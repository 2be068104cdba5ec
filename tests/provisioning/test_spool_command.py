"""`jisr spool inspect` and `verify`, as they are typed: what they say in both languages, and how they end."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway import language
from gateway.spool.cipher import device_secret
from provisioning import inspection
from provisioning.command import main
from provisioning.inspection import Progress, size_text
from tests.gateway.spool.harness import numeric
from tests.gateway.spool.harness import run as loop
from tests.provisioning.ward import Ward, said, spoil


@pytest.fixture(autouse=True)
def english() -> Any:
    language.choose("en")
    yield
    language.choose("en")


def segment(ward: Ward, lane: str) -> Path:
    return sorted((ward.spool / lane).glob("*.seg"))[0]


@pytest.mark.parametrize(("lang", "words"), [("en", ("wait for the platform", "good")), ("fr", ("attend", "bon"))])
def test_inspect_for_people(ward: Ward, capsys: Any, lang: str, words: tuple[str, ...]) -> None:
    code, out, err = said(capsys, "spool", "inspect", str(ward.spool), "--lang", lang)
    assert (code, err) == (0, "")
    assert all(word in out for word in words)
    assert all(len(line) <= 80 for line in out.splitlines()[1:])


def test_inspect_for_tools(ward: Ward, capsys: Any) -> None:
    code, out, _ = said(capsys, "spool", "inspect", "--config", str(ward.config), "--json")
    found = json.loads(out)
    assert (code, found["epoch"], found["running"]) == (0, 1, False)
    event = found["lanes"]["event"]
    assert (event["waiting"], event["released"], event["aside"]) == (10, [0, 0], [])
    (only,) = event["segments"]
    assert (only["first"], only["last"], only["frames"], only["state"]) == (1, 10, 5, "good")


def test_many_good_segments_are_counted(tmp_path: Path, capsys: Any) -> None:
    ward = Ward(tmp_path)

    async def work() -> None:
        spool = ward.opened(4096)
        for number in range(300):
            await spool.put([numeric(number, 100)])
            await spool.commit_now()
        await spool.close()

    loop(work())
    files = sorted((ward.spool / "numeric").glob("*.seg"))
    out = said(capsys, "spool", "inspect", str(ward.spool))[1]
    assert f"… {len(files) - inspection.SHOWN} more, all good …" in out
    spoil(files[5], 1000)
    out = said(capsys, "spool", "inspect", str(ward.spool))[1]
    assert re.search(r" 6 +1 .* damaged", out)


@pytest.mark.parametrize(
    ("lang", "word"), [("en", "there is no spool here"), ("fr", "il n'y a pas de file sur disque ici")]
)
@pytest.mark.parametrize("what", ["inspect", "verify"])
def test_no_spool(tmp_path: Path, capsys: Any, what: str, lang: str, word: str) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        code, out, err = said(capsys, "spool", what, str(folder), "--lang", lang)
        assert (code, out) == (2, "")
        assert word in err


def test_verify(ward: Ward, capsys: Any) -> None:
    code, out, _ = said(capsys, "spool", "verify", str(ward.spool))
    assert (code, "all good" in out) == (0, True)
    spoil(segment(ward, "numeric"), 250)
    code, out, _ = said(capsys, "spool", "verify", str(ward.spool))
    assert code == 1
    assert "numeric: 4 observations in frames that are damaged" in out
    code, out, _ = said(capsys, "spool", "verify", str(ward.spool), "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["damage"]) == (1, False, {"numeric": {"damaged": 4}})


def test_verify_of_a_lost_file_and_of_a_torn_tail(tmp_path: Path, capsys: Any) -> None:
    ward = Ward(tmp_path)
    words = ("spool", "verify", "--config", str(ward.config))

    async def work() -> None:
        spool = ward.opened(4096)
        for number in range(40):
            await spool.put([numeric(number, 100)])
            await spool.commit_now()
        *_, middle, last = sorted((ward.spool / "numeric").glob("*.seg"))
        last.write_bytes(last.read_bytes()[:200])
        assert await asyncio.to_thread(main, list(words)) == 0  # a commit may be under way, a file just released
        middle.unlink()
        assert await asyncio.to_thread(main, list(words)) == 0
        await spool.close()
        last.write_bytes(last.read_bytes()[:200])

    loop(work())
    capsys.readouterr()
    code, out, _ = said(capsys, *words)
    assert code == 1
    assert "observations in no file" in out
    assert "numeric: 1 files end in the middle of a frame" in out


def test_a_spool_whose_secret_is_elsewhere(ward: Ward, capsys: Any) -> None:
    """As on a card that was taken out of its box."""
    secret, elsewhere, other = ward.folder / "spool.secret", ward.folder / "elsewhere", ward.folder / "other"
    secret.rename(elsewhere)
    device_secret(other)
    for more, sentence in (((), "its secret is not here"), (("--secret", str(other)), "another secret")):
        code, out, _ = said(capsys, "spool", "inspect", str(ward.spool), *more)
        assert (code, sentence in out, "sealed" in out) == (0, True, True)
        code, out, _ = said(capsys, "spool", "verify", str(ward.spool), *more)
        assert code == 1
        assert "event: 10 observations sealed with a secret that is not here" in out
        assert "not everything could be verified." in out
    code, out, _ = said(capsys, "spool", "verify", str(ward.spool), "--secret", str(elsewhere))
    assert (code, "all good" in out) == (0, True)
    code, _, err = said(capsys, "spool", "verify", str(ward.spool), "--secret", str(ward.config))
    assert (code, "does not hold a spool secret" in err) == (1, True)
    assert ward.export() == 1
    assert ward.files == []
    assert "30 observations cannot be read" in capsys.readouterr().out


def test_progress_only_where_somebody_waits(monkeypatch: Any, capsys: Any) -> None:
    silent = Progress(100)
    silent.step(50)
    silent.end()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    seen = Progress(200)
    for _ in range(4):
        seen.step(50)
    seen.end()
    assert capsys.readouterr().err == "\r 25 %\r 50 %\r 75 %\r100 %\r     \r"


@pytest.mark.parametrize(
    ("count", "english_text", "french_text"),
    [
        (0, "0 B", "0 o"),
        (999, "999 B", "999 o"),
        (1_000, "1.0 kB", "1,0 ko"),
        (99_960, "100 kB", "100 ko"),
        (999_600, "1.0 MB", "1,0 Mo"),
        (56_800_000_000, "56.8 GB", "56,8 Go"),
        (10**15, "1000 TB", "1000 To"),
    ],
)
def test_sizes_as_a_person_reads_them(count: int, english_text: str, french_text: str) -> None:
    assert size_text(count) == english_text
    language.choose("fr")
    assert size_text(count) == french_text


@pytest.mark.parametrize("what", ["inspect", "verify", "export", "acknowledge"])
def test_help_of_each(capsys: Any, what: str) -> None:
    for lang, word in (("en", "Example: jisr spool"), ("fr", "Exemple : jisr spool")):
        code, out, _ = said(capsys, "--lang", lang, "spool", what, "--help")
        assert (code, word in out) == (0, True)
