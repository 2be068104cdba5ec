"""What the pages of docs/platform say is so: worked examples, figures, reasons, example messages."""

import hashlib
import hmac
import inspect
import json
import re
import shutil
import subprocess

import pytest

from gateway.spool import acked
from gateway.uplink import acknowledgement, dictionary, mqtt, schedule, schema, throughput, time
from gateway.uplink.envelope import FRAME_LIMIT_BYTES
from gateway.uplink.session import Timing
from simulators.central import consumer
from tests.platform.contract import DOCS, faults

PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
WORKED = re.findall(
    r"^\$ (printf '(.*?)' \| \\\n    openssl .* hexkey:(\w+))\n(.*)$", PAGES["acknowledgement.md"], re.M
)
"""Command, text, key, what it prints."""


def test_there_are_worked_examples() -> None:
    assert [text.split(r"\n")[0] for _command, text, _key, _result in WORKED] == [
        "jisr-ack-1",
        "jisr-ack-1",
        "jisr-time-1",
    ]


@pytest.mark.parametrize("worked", WORKED, ids=lambda worked: worked[3][-6:])
def test_a_mac_by_hand(worked: tuple[str, str, str, str]) -> None:
    _command, text, key, result = worked
    made = hmac.new(bytes.fromhex(key), text.replace(r"\n", "\n").encode(), hashlib.sha256).hexdigest()
    assert result.endswith(f"= {made}")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("worked", WORKED, ids=lambda worked: worked[3][-6:])
def test_a_mac_by_openssl(worked: tuple[str, str, str, str]) -> None:
    command, _text, _key, result = worked
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert ended.stdout.split()[-1] == result.split()[-1]


def test_a_box_accepts_the_worked_example() -> None:
    (_command, text, key, result), *_rest = WORKED
    _head, site, gateway, lane, spool, epoch, upto, holes = text.split(r"\n")
    pairs = [[int(end) for end in hole.split("-")] for hole in holes.split(",")]
    word = {"spool": spool, "epoch": int(epoch), "upto": int(upto), "holes": pairs, "mac": result.split()[-1]}
    ack = schema.decode_ack(json.dumps(word).encode())
    assert schema.verify_ack(bytes.fromhex(key), site, gateway, "numeric", ack)
    assert lane == "numeric"


@pytest.mark.parametrize("page", ["README.md", "acknowledgement.md"])
def test_example_messages_are_valid(page: str) -> None:
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGES[page], re.S)]
    for block in blocks:
        name = "frame" if "observations" in block else "time-answer" if "nonce" in block else "ack"
        if "…" in str(block.get("mac")):
            block["mac"] = "0" * 64
        assert faults(name, json.dumps(block)) == []
    assert blocks


def test_every_reason_of_refusal_is_explained() -> None:
    code = inspect.getsource(acknowledgement.Judge) + inspect.getsource(schema.decode_ack)
    reasons = set(re.findall(r'(?:Refused|Malformed)\("(\w+)"\)', code))
    _before, _heading, section = PAGES["acknowledgement.md"].partition("## Refused")
    table, _end, _after = section.partition("##")
    assert set(re.findall(r"^\| `(\w+)`", table, re.M)) == reasons


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("README.md", f"{schema.ACK_LIMIT_BYTES:,} bytes, {schema.ACK_HOLES} holes"),
        ("README.md", f"{time.TIME_LIMIT_BYTES:,} bytes"),
        ("README.md", f"| dictionary | {dictionary.LIMIT_BYTES >> 10} KiB |"),
        ("README.md", f"about {schedule.JOIN_BYTES >> 10} KiB of JSON"),
        ("README.md", f"refuse above {FRAME_LIMIT_BYTES >> 20} MiB and {FRAME_LIMIT_BYTES % (1 << 20) >> 10} KiB"),
        ("README.md", f"{mqtt.INCOMING_LIMIT_BYTES >> 10} KiB a packet, {mqtt.INCOMING_WINDOW} packets"),
        ("README.md", f"at most {mqtt.WINDOW} messages, and {throughput.CEILING_BYTES >> 10} KiB"),
        ("README.md", f"{schedule.UNACKED_BYTES >> 20} MiB or {schedule.UNACKED_FRAMES} frames"),
        ("README.md", f"{round(Timing().ack_s)} s after the broker's PUBACK"),
        ("README.md", f"{schedule.PROBE_BYTES >> 10} KiB at a time"),
        ("README.md", f"| {acked.MAX_RANGES} a lane"),
        ("consumer.md", f"Session Expiry {consumer.SHARED_EXPIRY_S} s"),
        ("broker.md", f"keep-alive of {mqtt.KEEPALIVE_S} s"),
        ("acknowledgement.md", f"at most {schema.ACK_HOLES}"),
    ],
)
def test_the_figures_are_those_of_the_code(page: str, words: str) -> None:
    assert words in PAGES[page]
