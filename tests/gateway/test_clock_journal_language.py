"""Small rooms: the journal, the language."""

import json
from io import StringIO
from pathlib import Path

import pytest

from gateway import language
from gateway.errors import JisrError
from gateway.journal import Journal
from gateway.ports.port import PortAbsent, PortLost


def test_the_journal_says_once_until_it_changes() -> None:
    out = StringIO()
    journal = Journal(out)
    for _again in range(3):
        journal.say(PortAbsent(port="serial:/dev/a"), "vent")
    journal.say(PortAbsent(port="serial:/dev/b"), "vent")
    journal.settle("vent")
    journal.settle("vent")
    journal.say(PortAbsent(port="serial:/dev/b"), "vent")
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["say", "say", "settled", "say"]


def test_a_log_line_cannot_be_forged() -> None:
    out = StringIO()
    said = 'x"}\n{"event":"forged"}\x1b[2J\x9b2J\x7f\u2028\ud800é'
    Journal(out).event("seen", text=said, path=Path("/x"))
    assert len(out.getvalue().splitlines()) == 1
    assert not set("\x1b\x9b\x7f\u2028\ud800") & set(out.getvalue())
    assert "é" in out.getvalue()
    assert json.loads(out.getvalue())["text"] == said


def test_an_exception_tells_where_it_came_from() -> None:
    out = StringIO()
    try:
        raise ValueError("torn")
    except ValueError as error:
        Journal(out).event("task_failed", task="spool", exc_info=error)
    line = json.loads(out.getvalue())
    assert (line["event"], line["task"]) == ("task_failed", "spool")
    assert "test_an_exception_tells_where_it_came_from" in line["exception"]
    assert "ValueError: torn" in line["exception"]


@pytest.mark.parametrize(
    ("asked", "environment", "chosen"),
    [
        ("fr", {}, "fr"),
        ("", {"LANG": "fr_FR.UTF-8"}, "fr"),
        ("", {"LC_ALL": "ar_MA.UTF-8", "LANG": "fr_FR.UTF-8"}, "en"),
        ("", {"LC_MESSAGES": "fr_MA"}, "fr"),
        ("", {}, "en"),
        ("de", {}, "en"),
    ],
)
def test_language(asked: str, environment: dict[str, str], chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert language.choose(asked) == chosen == language.current()
    language.choose("en")


def test_an_error_speaks_both_languages() -> None:
    error: JisrError = PortAbsent(port="serial:/dev/x")
    english = error.text()
    language.choose("fr")
    try:
        assert error.text() != english
        assert "/dev/x" in error.text()
    finally:
        language.choose("en")


def test_what_the_system_says_inside_a_sentence_is_told_in_french_too() -> None:
    language.choose("fr")
    try:
        told = PortLost(port="serial:/dev/x", detail="hang-up").text()
    finally:
        language.choose("en")
    assert "hang-up" not in told
    assert "serial:/dev/x" in told
