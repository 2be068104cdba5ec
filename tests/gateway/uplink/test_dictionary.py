"""Dictionaries: named by what they are, all of them readable for ever, trained the same way twice."""

from pathlib import Path

import pytest

from gateway.uplink import dictionary
from gateway.uplink.compact import encode_compact
from gateway.uplink.dictionary import LIMIT_BYTES, NEWEST, Dictionary, newest, read_dictionary, shipped
from gateway.uplink.envelope import Malformed
from gateway.uplink.schema import decode_frame, dictionary_named, dictionary_topic
from tests.gateway.uplink.monitor_frames import monitor_frame
from tools import train_dictionary


@pytest.fixture(scope="module")
def other() -> Dictionary:
    """A small one, as a release before or after this one may have it."""
    return train_dictionary.train(boxes=3, size=2048)


def test_those_that_are_shipped_are_what_they_are_called() -> None:
    found = shipped()
    assert {one.name for one in found.values()} == {path.stem for path in dictionary.FOLDER.glob("*.zdict")}
    own = newest()
    assert own is not None
    assert own.name == NEWEST
    assert own.id == int(NEWEST, 16) != 0
    assert len(own.content) <= 16 << 10


def test_what_was_sent_with_an_old_one_stays_readable(other: Dictionary) -> None:
    own = newest()
    assert own is not None
    frame = monitor_frame(1, monitors=1, seconds=2)
    known = {own.id: own, other.id: other}
    for chosen in (None, own, other):
        sent = encode_compact(frame, chosen)
        assert sent[3:7].hex() == (chosen.name if chosen else "00000000")
        assert decode_frame(sent, known)[0] == frame


def test_a_frame_waits_for_its_dictionary(other: Dictionary) -> None:
    frame = monitor_frame(1, monitors=1, seconds=2)
    sent = encode_compact(frame, other)
    with pytest.raises(Malformed) as caught:
        decode_frame(sent)
    assert caught.value.reason == "dictionary"
    assert decode_frame(sent, {**shipped(), other.id: other})[0] == frame


def test_nothing_else_is_taken_for_a_dictionary(other: Dictionary) -> None:
    assert read_dictionary(other.name, other.content).id == other.id
    own = newest()
    assert own is not None
    for name, content, reason in (
        (other.name, own.content, "dictionary_hash"),
        (other.name, other.content[:-1], "dictionary_hash"),
        (other.name.upper(), other.content, "dictionary_hash"),
        (other.name, bytes(LIMIT_BYTES + 1), "dictionary_too_large"),
        ("e3b0c442", b"", "dictionary_content"),
        ("6e340b9c", b"\0", "dictionary_content"),
    ):
        with pytest.raises(Malformed) as caught:
            read_dictionary(name, content)
        assert caught.value.reason == reason


def test_topics() -> None:
    assert dictionary_topic("0a1b2c3d") == "jisr/v1/meta/dict/0a1b2c3d"
    assert dictionary_named("jisr/v1/meta/dict/0a1b2c3d") == "0a1b2c3d"
    for topic in (
        "jisr/v1/meta/dict/0A1B2C3D",
        "jisr/v1/meta/dict/0a1b2c3d/x",
        "jisr/v1/meta/dict/",
        "jisr/v1/a/b/birth",
    ):
        assert dictionary_named(topic) == ""


def test_the_same_training_gives_the_same_bytes(other: Dictionary) -> None:
    assert train_dictionary.train(boxes=3, size=2048).content == other.content


def test_the_tool_writes_what_it_trained(
    other: Dictionary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train_dictionary, "train", lambda: other)
    monkeypatch.setattr(train_dictionary, "FOLDER", tmp_path / "new")
    assert train_dictionary.main(["--check"]) == 1
    assert not (tmp_path / "new").exists()
    assert train_dictionary.main([]) == 0
    assert (tmp_path / "new" / f"{other.name}.zdict").read_bytes() == other.content
    assert other.name in capsys.readouterr().out
    monkeypatch.setattr(train_dictionary, "NEWEST", other.name)
    assert train_dictionary.main(["--check"]) == 0
