"""Each command as it is typed: what it prints in both languages, and how it ends."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from gateway import language
from provisioning.command import COMMANDS, main
from tests.gateway.config.fakes import lay_out

CAPTURES = Path(__file__).parents[2] / ".." / "shared" / "captures" / "erba_xl_astm"


@pytest.fixture(autouse=True)
def english() -> Any:
    yield
    language.choose("en")


def frame(number: int, text: bytes) -> bytes:
    inside = b"%d%b\x03" % (number, text)
    return b"\x02" + inside + b"%02X\r\n" % (sum(inside) % 256)


def session(value: bytes = b"7.2") -> bytes:
    records = [
        b"H|\\^&|||GW-TEST^1.0|||||||P|1|20260101080000\r",
        b"P|1||PID0007\r",
        b"O|1|S0001||^^^WBC|R\r",
        b"R|1|^^^WBC|" + value + b"|10*3/uL|4.0 to 10.0|N||F||OP1|20260101075500|20260101075800\r",
        b"L|1|N\r",
    ]
    return b"\x05" + b"".join(frame(n % 8, record) for n, record in enumerate(records, 1)) + b"\x04"


def run(capsysbinary: Any, *words: str) -> tuple[int, str, str]:
    try:
        code = main(list(words))
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsysbinary.readouterr()
    return code, out.decode(), err.decode()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_in_both_languages_with_an_example(capsysbinary: Any, command: str) -> None:
    code, english_help, _ = run(capsysbinary, command, "--help")
    assert code == 0
    assert "Example: jisr" in english_help
    code, french_help, _ = run(capsysbinary, "--lang", "fr", command, "--help")
    assert code == 0
    assert "Exemple : jisr" in french_help
    assert "show this help" not in french_help
    assert not {"SECONDS", "PROFILE", "VALUE", "SEED", "HOST", "FAULT"} & set(re.findall(r"[A-Z]+", french_help))


def test_version_and_general_help(capsysbinary: Any) -> None:
    assert run(capsysbinary, "--version")[1].startswith("jisr 0.")
    listed = run(capsysbinary, "--lang=fr", "--help")[1]
    assert "program's version" not in listed
    assert all(command in listed for command in COMMANDS)
    code, _, err = run(capsysbinary, "nonsense")
    assert code == 2
    assert "Traceback" not in err


def test_replay_of_raw_bytes_is_the_same_at_any_chunking(capsysbinary: Any, tmp_path: Path) -> None:
    file = tmp_path / "session.bin"
    file.write_bytes(session() + b"\x00noise\xff" + session(b"8.1"))
    words = ("replay", str(file), "--driver", "astm", "--profile", "erba_xl")
    code, whole, _ = run(capsysbinary, *words)
    assert code == 0
    lines = [json.loads(line) for line in whole.splitlines()]
    assert [line["value"] for line in lines if line["kind"] == "result"] == [7.2, 8.1]
    assert all(run(capsysbinary, *words, "--chunk", f"random:{seed}")[1] == whole for seed in range(20))


def test_replay_shows_what_was_refused(capsysbinary: Any, tmp_path: Path) -> None:
    file = tmp_path / "bad.bin"
    file.write_bytes(session().replace(b"|7.2|", b"|9.2|"))
    code, out, _ = run(capsysbinary, "replay", str(file), "--driver", "astm", "--profile", "erba_xl", "--faults")
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert not [line for line in lines if line["kind"] == "result"]
    assert {"kind": "fault", "reason": "checksum", "rejected": True}.items() <= lines[-1].items() or any(
        line.get("reason") == "checksum" for line in lines
    )


@pytest.mark.skipif(not CAPTURES.exists(), reason="the recordings are not beside this checkout")
def test_replay_of_the_real_recordings(capsysbinary: Any) -> None:
    values = []
    for path in sorted(CAPTURES.glob("*.bin")):
        _, out, _ = run(capsysbinary, "replay", str(path), "--driver", "astm", "--profile", "erba_xl")
        values += [json.loads(line)["value"] for line in out.splitlines() if '"result"' in line]
    assert values == [504, 474, 250, 480, 116, 1.1, 1.1, 17, 188, 84]


def test_replay_of_a_register_recording(capsysbinary: Any, tmp_path: Path) -> None:
    file = tmp_path / "gen.jsonl"
    head = {"capture": 1, "started": "2026-11-25T09:00:00.000Z", "device": "gen"}
    block = {"t": 1.5, "dir": "rx", "hex": "0052", "table": "holding", "address": 1025}
    file.write_text(json.dumps(head) + "\n" + json.dumps(block) + "\n\n", encoding="utf-8")
    code, out, _ = run(capsysbinary, "replay", str(file), "--driver", "registers", "--profile", "dse_73xx")
    assert code == 0
    seen = [json.loads(line) for line in out.splitlines() if '"numeric"' in line]
    assert [(one["value"], one["unit"], one["at"]) for one in seen] == [(82, "Cel", "2026-11-25T09:00:01.500Z")]


@pytest.mark.parametrize(
    ("words", "english_words", "french_words"),
    [
        (("replay", "x.bin", "--driver", "nothing"), "draeger_medibus", "n'existe pas"),
        (("replay", "x.bin", "--driver", "astm", "--profile", "no"), "sysmex_xp", "n'existe pas"),
        (("replay", "x.bin", "--driver", "astm"), "name one with --profile", "nommez-en une avec --profile"),
        (
            ("replay", "x.bin", "--driver", "astm", "--profile", "erba_xl"),
            "cannot be read",
            "aucun fichier ni dossier",
        ),
        (
            ("replay", "x.bin", "--driver", "astm", "--profile", "erba_xl", "--chunk", "7"),
            "random:SEED",
            "random:GRAINE",
        ),
        (
            ("replay", "x.bin", "--driver", "ge_dash", "--profile", "dash", "--chunk", "random:7"),
            "arrive whole",
            "arrivent entiers",
        ),
        (
            ("replay", "x.bin", "--driver", "astm", "--profile", "erba_xl", "--option", "no=1"),
            "astm has no option no",
            "astm n'a pas d'option no",
        ),
        (
            ("replay", "x.bin", "--driver", "draeger_medibus", "--profile", "evita_4", "--option", "poll_s=often"),
            "What would be right: a number",
            "Ce qui serait juste : un nombre",
        ),
        (("drivers", "nothing"), "registers", "n'existe pas"),
        (("simulate", "nothing", "--listen", "127.0.0.1:1"), "registers", "n'existe pas"),
        (("simulate", "astm", "--listen", "here"), "HOST:PORT", "HÔTE:PORT"),
        (("simulate", "astm", "--listen", "127.0.0.1:1", "--fault", "no"), "garbage", "défaut"),
        (("simulate", "astm", "--listen", "127.0.0.1:1", "--option", "no=1"), "every_s", "n'a pas d'option no"),
        (("run", "nothing.toml"), "nothing.toml", "nothing.toml"),
        (("watch", "--config", "nothing.toml"), "nothing.toml", "nothing.toml"),
    ],
)
def test_wrong_questions(
    capsysbinary: Any, monkeypatch: Any, tmp_path: Path, words: Any, english_words: str, french_words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for lang, expected in (("en", english_words), ("fr", french_words)):
        code, out, err = run(capsysbinary, "--lang", lang, *words)
        assert (code, out) == (2, "")
        assert expected in err
        assert "Traceback" not in err


@pytest.mark.parametrize(
    ("name", "driver", "profile", "content"),
    [
        ("c.jsonl", "astm", "erba_xl", b'{"t":0,"dir":"rx","hex":"0052","table":"holding","address":1025}'),
        ("c.jsonl", "registers", "dse_73xx", b'{"t":0,"dir":"rx","hex":"05"}'),
        ("c.bin", "registers", "dse_73xx", b"noise"),
    ],
)
def test_a_recording_of_another_kind(
    capsysbinary: Any, tmp_path: Path, name: str, driver: str, profile: str, content: bytes
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    code, _, err = run(capsysbinary, "replay", str(file), "--driver", driver, "--profile", profile)
    assert code == 2
    assert f"not made with the driver {driver}" in err


@pytest.mark.parametrize(
    ("place", "english_words", "french_words"),
    [
        ("--pty=gone/link", "No such file", "aucun fichier ni dossier"),
        ("--pty=taken", "exists", "existe déjà"),
        ("--listen=127.0.0.1:{port}", "already in use", "déjà utilisée"),
        ("--listen=name.invalid:4001", "name.invalid:4001", "name.invalid:4001"),
    ],
)
def test_a_simulator_that_cannot_be_there(
    capsysbinary: Any, monkeypatch: Any, tmp_path: Path, place: str, english_words: str, french_words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for lang, expected in (("en", english_words), ("fr", french_words)):
            word = place.format(port=taken.getsockname()[1])
            code, out, err = run(capsysbinary, "--lang", lang, "simulate", "astm", word)
            assert (code, out) == (1, "")
            assert expected in err


@pytest.mark.parametrize("line", [b"nonsense", b'{"t":0,"dir":"rx","hex":"0"}', b'{"t":0,"dir":"up","hex":""}'])
def test_a_damaged_recording_names_its_line(capsysbinary: Any, tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "c.jsonl"
    file.write_bytes(b'{"t":0,"dir":"tx","hex":"06"}\n' + line + b"\n")
    code, _, err = run(capsysbinary, "replay", str(file), "--driver", "astm", "--profile", "erba_xl")
    assert code == 2
    assert "line 2" in err


def test_drivers_for_people_and_for_tools(capsysbinary: Any) -> None:
    code, out, _ = run(capsysbinary, "drivers", "draeger_medibus", "--lang", "fr")
    assert code == 0
    assert "Dräger" in out
    code, out, _ = run(capsysbinary, "drivers", "--json")
    found = json.loads(out)
    assert found["astm"]["erba_xl"]["tier"] == "captured"
    assert found["registers"]["dse_73xx"]["metrics"]


def test_simulator_faults_are_listed(capsysbinary: Any) -> None:
    code, out, _ = run(capsysbinary, "simulate", "astm", "--listen", "127.0.0.1:1", "--fault", "list")
    assert code == 0
    assert "lost_ack" in out.splitlines()


def test_check(capsysbinary: Any, tmp_path: Path) -> None:
    lay_out(tmp_path)
    file = tmp_path / "jisr.toml"
    good = (Path(__file__).parents[2] / "examples" / "jisr.toml").read_text(encoding="utf-8")
    file.write_text(good, encoding="utf-8")
    code, out, err = run(capsysbinary, "check", str(file))
    assert code == 0, err
    assert "3 devices" in out
    assert json.loads(run(capsysbinary, "check", str(file), "--json")[1])["ok"] is True
    file.write_text(good.replace("profile =", "porfile =", 1), encoding="utf-8")
    code, _, err = run(capsysbinary, "--lang", "fr", "check", str(file))
    assert code == 2
    assert "porfile" in err
    assert "profile" in err
    code, out, _ = run(capsysbinary, "check", str(file), "--json")
    assert code == 2
    assert json.loads(out)["problems"][0]["nearest"] == "profile"


SKETCH = """
[[device]]
name = "pompes"
driver = "fresenius_agilia"
profile = "base_a"
port = "tcp:127.0.0.1:9"
listen_only = true
"""


def test_a_sketch_is_refused_until_a_person_accepts_it_and_then_said(capsysbinary: Any, tmp_path: Path) -> None:
    lay_out(tmp_path)
    file = tmp_path / "jisr.toml"
    good = (Path(__file__).parents[2] / "examples" / "jisr.toml").read_text(encoding="utf-8")
    file.write_text(good + SKETCH, encoding="utf-8")
    for command in ("check", "run"):
        code, _, err = run(capsysbinary, "--lang", "en", command, str(file))
        assert code == 2
        assert "profile base_a of driver fresenius_agilia is a sketch" in err
        assert "accept_sketch = true" in err
    (told,) = json.loads(run(capsysbinary, "check", str(file), "--json")[1])["problems"]
    assert (good + SKETCH).splitlines()[told["line"] - 1] == 'profile = "base_a"'
    file.write_text(good + SKETCH + "accept_sketch = true\n", encoding="utf-8")
    code, out, _ = run(capsysbinary, "--lang", "en", "check", str(file))
    assert code == 0
    assert "pompes: its profile base_a is a sketch" in out
    notices = json.loads(run(capsysbinary, "check", str(file), "--json")[1])["notices"]
    assert [notice for notice in notices if "sketch" in notice]


def test_watch_without_an_agent(capsysbinary: Any, tmp_path: Path) -> None:
    lay_out(tmp_path)
    good = (Path(__file__).parents[2] / "examples" / "jisr.toml").read_text(encoding="utf-8")
    file = tmp_path / "jisr.toml"
    file.write_text(good, encoding="utf-8")
    code, _, err = run(capsysbinary, "watch", "--config", str(file), "--json")
    assert code in (1, 2)
    assert "agent" in err
    code, _, err = run(capsysbinary, "record", "labo-hemato", str(tmp_path / "o"), "--config", str(file))
    assert (code, (tmp_path / "o").exists()) == (1, False)
    code, _, err = run(capsysbinary, "record", "nobody", str(tmp_path / "o"), "--config", str(file))
    assert code == 2
    assert "nobody" in err or "socket" in err
