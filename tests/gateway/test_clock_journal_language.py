"""Small rooms: the clock, the journal, the language."""

import json
from io import StringIO

import pytest

from gateway import clock, language
from gateway.errors import JisrError
from gateway.journal import Journal
from gateway.ports.port import PortAbsent, PortLost


def test_an_instant_has_three_things() -> None:
    now = clock.Clock().now()
    assert len(now.at) == 24
    assert now.at[10] == "T"
    assert now.trust.quality in ("none", "ntp")
    assert now.trust.boot
    assert now.trust.mono_s == pytest.approx(now.mono_s, abs=0.001)


def test_trust_follows_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "kernel_sync", lambda: 12)
    assert (clock.Clock().now().trust.quality, clock.Clock().now().trust.error_ms) == ("ntp", 12)
    monkeypatch.setattr(clock, "kernel_sync", lambda: None)
    assert clock.Clock().now().trust.quality == "none"


def test_utc_text() -> None:
    assert clock.utc_text(0) == "1970-01-01T00:00:00.000Z"
    assert clock.utc_text(1795598102.1204) == "2026-11-25T09:15:02.120Z"


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
    Journal(out).event("seen", text='x"}\n{"event":"forged"}\x1b[2J')
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()


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
