"""TLS never falls back: whoever sits in the broker's place hears no MQTT, topic or name of the box in clear."""

import os
from pathlib import Path
from typing import get_args

import pytest

from simulators.central.broker import find_mosquitto
from tests.e2e.line import ANALYZER, GATEWAY, SITE, VENTILATOR, running_line
from tests.threats.tapped import Habit, tap

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")

HABITS: tuple[Habit, ...] = tuple(habit for habit in get_args(Habit) if habit != "relay")
IN_CLEAR = (b"MQTT", b"MQIsdp", b"jisr", GATEWAY.encode(), SITE.encode(), b"offline", b"vent", b"labo", b"kind")
RECORDS = {0x14, 0x15, 0x16, 0x17}
"""RFC 8446 section 5.1: what a TLS record may begin with."""


def records(stream: bytes) -> list[int]:
    """The types of the TLS records in a stream; the last one may be cut off. Fails on anything that is none."""
    found, at = [], 0
    while at < len(stream):
        kind, major = stream[at], stream[at + 1 : at + 2]
        assert kind in RECORDS, f"no TLS record at {at}: {stream[at : at + 40]!r}"
        assert major in (b"\x03", b""), stream[at : at + 40]
        found.append(kind)
        at += 5 + int.from_bytes(stream[at + 3 : at + 5], "big")
    return found


def test_nothing_is_said_in_clear(tmp_path: Path) -> None:
    """In mid-stream the broker's place is taken by one stranger after the other, and then is its own again."""
    with running_line(tmp_path) as line:
        strange = line.authority.self_signed("strange")
        tapped = line.stage.enter(tap(line.broker.port, strange))
        line.port = tapped.port
        line.plug_in(VENTILATOR, ANALYZER)
        line.start()
        line.until(lambda: line.is_connected and len(line.names()) > 20, "the line runs")
        for habit in HABITS:
            calls = len(tapped.heard)
            line.stage.run(tapped.turn(habit))
            os.utime(line.box.certificate)  # as renewed: the box calls at once, not after its pause
            line.until(lambda calls=calls: any(tapped.heard[calls:]), f"{habit}: the box calls")  # type: ignore[misc]
            line.until(lambda: not line.is_connected, "and is not content")
        line.stage.run(tapped.turn("relay"))
        os.utime(line.box.certificate)
        kept = len(line.feed.promised)
        line.until(lambda: line.is_connected, "the broker is there again")
        line.until(lambda: len(line.feed.promised) > kept + 20, "and the devices are read")
        line.arrive()
        assert line.verdict().faults == {}
        assert len(tapped.heard) >= len(HABITS)
        for stream in (*tapped.heard, tapped.relayed):
            assert not [word for word in IN_CLEAR if word in stream]
        for stream in tapped.heard:
            assert 0x17 not in records(bytes(stream))
        assert tapped.inside == b""
