"""Small payloads that ask for much memory: at the entrance where frames are read, and at a box's incoming side."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from gateway.uplink.dictionary import NEWEST
from gateway.uplink.schema import decode_key
from simulators.central.broker import CONSUMER, find_mosquitto
from tests.e2e.line import ANALYZER, GATEWAY, SITE, VENTILATOR, running_line
from tests.threats.bombs import GROWTH_LIMIT_KB, crowds, forget_most, frames, most_kb, words
from tests.threats.caller import FAILURE, Caller

TAKEN = [pytest.param(name, id=name) for name in crowds(1 << 20)]
HEARD = ("/ack/event", "/ack/time", f"/{NEWEST}")
PACKET_BYTES = 60_000
"""What fits in the packets that a box allows the broker (64 KiB); the broker keeps longer ones away from it."""


@cache
def measured(what: str) -> dict[str, tuple[str, int]]:
    """What happened in a process of its own."""
    words = (sys.executable, "-m", "tests.threats.bombs", what)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, tuple[str, int]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", list(frames()))
def test_the_entrance_of_frames_refuses_bombs(name: str) -> None:
    reason, grown = measured("decode")[name]
    assert reason != "taken"
    assert grown <= GROWTH_LIMIT_KB


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_of_the_contract_costs_little(name: str) -> None:
    reason, grown = measured("decode")[name]
    assert reason == "taken"
    assert grown <= GROWTH_LIMIT_KB


@pytest.mark.parametrize("name", crowds(4_000_000))
def test_what_would_cost_more_is_refused_unread(name: str) -> None:
    reason, grown = measured("decode")[name]
    assert reason == "too_large"
    assert grown <= GROWTH_LIMIT_KB


def test_a_session_hears_bombs_and_frees_nothing() -> None:
    found = measured("session")
    freed, grown = found["bombs"]
    assert freed == "0"
    assert grown <= GROWTH_LIMIT_KB
    assert found["right"][0] == "1"


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="this kernel has no clear_refs")
def test_the_agent_hears_bombs_from_the_broker(tmp_path: Path) -> None:
    """The real agent, and a platform whose certificate is good and whose words are not."""
    with running_line(tmp_path, max_packet_size="8388608") as line:
        line.uplink = 'encoding = "compact"'
        line.plug_in(VENTILATOR, ANALYZER)
        rules = line.acl_file.read_text(encoding="utf-8")
        may = f"\nuser {CONSUMER}\ntopic write jisr/v1/#\n"
        line.acl_file.write_text(rules + may, encoding="utf-8")
        line.broker.start()
        line.start_agent()
        line.until(lambda: line.is_connected and line.waiting > 20, "the agent runs, and nobody acknowledges")
        key = decode_key(line.authority.ack_key().read_text(encoding="ascii"))
        agent, root = line.processes.pid("agent"), f"jisr/v1/{SITE}/{GATEWAY}"
        with Caller(line.broker.port, line.authority, line.authority.consumer(CONSUMER), CONSUMER) as hostile:
            forget_most(agent)
            before, kept = most_kb(agent), line.waiting
            for topic, payload in words(key, root, NEWEST):
                if topic.endswith(HEARD):
                    assert hostile.publish(topic, payload[:PACKET_BYTES]) < FAILURE
            assert hostile.publish(f"{root}/ack/event", bytes(1 << 20)) < FAILURE
        line.until(lambda: "AckRefused" in line.said(), "the agent heard them")
        promised = len(line.feed.promised)
        line.until(lambda: len(line.feed.promised) > promised + 20, "the devices are read on")
        assert line.is_connected
        assert line.breaks == 0
        assert line.waiting > kept
        assert most_kb(agent) - before <= GROWTH_LIMIT_KB
        line.start_consumer()
        line.arrive()
        line.until(lambda: line.waiting < kept, "right words free")
