"""Planted patients: what an analyzer says of them is in no log, topic, file name, report or observation (law 9)."""

import socket
import sys
from pathlib import Path
from subprocess import run
from typing import NamedTuple

import pytest

from simulators.central.broker import find_mosquitto
from simulators.devices.astm import Astm
from simulators.devices.astm import frame as astm_frame
from simulators.devices.runner import tcp_client
from tests.e2e.faults import FLUSH, FOLDER
from tests.e2e.line import ANALYZER, BRISK, GATEWAY, SITE, Line, running_line
from tests.e2e.onlookers import OBSERVER
from tests.threats.caller import FAILURE, Caller

pytestmark = [pytest.mark.alone, pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")]

HOSTILE = ("{}", "../../{}", "$({})", "#/{}/+", "%s%n{}", "{{{}}}", "';{}--", '"}},{{"{}', "{}\\u0000", "\xa0{}\xad")
PLANTED = (
    *("sender", "sender-address", "sender-phone", "header-comment"),
    *("practice-id", "laboratory-id", "patient-id-3", "name", "first-name", "maiden-name", "birth-date", "address"),
    *("phone", "physician", "ward", "patient-user-field", "order-physician", "order-phone", "order-user-field"),
    *("collector", "operator", "comment-on-patient", "comment-on-order", "comment-on-message", "manufacturer-record"),
    *("unknown-record", "unfinished-message", "damaged-frame", "noise"),
)
MESSAGES = 6
VERSION_AT, SEALED_VERSION, MAGIC = 4, 2, b"JSRS"


def token(name: str, number: int = 0) -> str:
    """A word that is nowhere else."""
    return f"ZQ{PLANTED.index(name):02d}{number}WKJ"


def specimen(number: int) -> bytes:
    """Data, not a leak."""
    return b"SPX4471%d" % number


def planted(name: str, number: int) -> str:
    """The word in a dress that logs, topics, files or queries could take for more than a word."""
    return HOSTILE[(PLANTED.index(name) + number) % len(HOSTILE)].format(token(name, number)).replace("|", "")


def message(number: int) -> bytes:
    """One result of a patient about whom everything is told that E1394 has a field for."""

    def t(name: str) -> str:
        return planted(name, number)

    name = f"{t('name')}^{t('first-name')}"
    patient = [t("practice-id"), t("laboratory-id"), t("patient-id-3"), name, t("maiden-name"), t("birth-date"), "U"]
    patient += ["", t("address"), "", t("phone"), t("physician"), t("patient-user-field"), *[""] * 10, t("ward")]
    order = ["", "", "", "", "", t("collector"), "", "", "", "", "SERUM", t("order-physician"), t("order-phone")]
    records = [
        f"H|`^&|||{t('sender')}|{t('sender-address')}||{t('sender-phone')}||||{t('header-comment')}|P|E 1394-97|",
        f"C|1|I|{t('comment-on-message')}",
        "P|1|" + "|".join(patient),
        f"C|1|I|{t('comment-on-patient')}",
        f"O|1|{specimen(number).decode()}||^^^GLCC|" + "|".join([*order, t("order-user-field")]),
        f"C|1|I|{t('comment-on-order')}",
        f"M|1|{t('manufacturer-record')}",
        f"Z|1|{t('unknown-record')}",
        f"R|1|^^^GLCC|{100 + number}|mg/dl|^DEFAULT|A|N|F||{t('operator')}||2026010108000{number}",
        "L|1|N",
    ]
    return "".join(record + "\r" for record in records).encode("latin-1")


def unfinished() -> bytes:
    """A message that says itself that it is none."""
    word = planted("unfinished-message", 0)
    return f"H|`^&|||{word}\rP|1|{word}\rO|1|{word}\rL|1|E\r".encode("latin-1")


def refused() -> bytes:
    """Bytes outside frames, a frame with a wrong sum, a frame with characters that may not be in one."""
    noise, damaged = planted("noise", 0).encode("latin-1"), planted("damaged-frame", 0).encode("latin-1")
    wrong = astm_frame(1, b"P|1|" + damaged + b"\r")
    return noise + b"\x05" + wrong[:-4] + b"00\r\n" + astm_frame(1, b"\x1b[31m" + damaged + b"\x07\r") + b"\x04"


RESENT_S = 150
"""What was sent while only the onlooker was there is sent again when nobody acknowledged it for a minute."""


class Evidence(NamedTuple):
    """Everything that a run left anywhere, by where."""

    texts: dict[str, bytes]
    spool: dict[str, bytes]
    """Its files while the platform had acknowledged nothing."""
    specimens: set[int]
    said: list[str]


def _files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


def _carry(folder: Path) -> Evidence:
    with running_line(folder) as line:
        disk = folder / "disk"
        disk.mkdir()
        line.spoilt = {FOLDER: str(disk)}
        line._devices = (ANALYZER,)
        line.broker.start()
        line.start_agent()
        line.until(lambda: line.is_connected, "the agent runs")
        with _observer(line) as observer:
            _speak(line, disk)
            spool = _files(line.spool)
            heard = list(observer.heard)
        line.broker.kill()
        line.broker.start()  # the box comes again, tells its state, birth and health anew, and sends all of it again
        line.start_consumer()
        with _observer(line) as observer:
            wanted = {f"jisr/v1/{SITE}/{GATEWAY}/{leaf}" for leaf in ("birth", "state", "health")}
            line.until(lambda: wanted <= {topic for topic, _ in observer.heard}, "birth, state and health")
            line.arrive(RESENT_S)
            heard += observer.heard
        line.processes.terminate("agent")
        texts = {f"{at} {topic}": topic.encode() + b" " + payload for at, (topic, payload) in enumerate(heard)}
        specimens = {n for n in range(MESSAGES) if any(specimen(n) in text for text in texts.values())}
        texts |= _reports(folder) | _files(folder)
        texts["names of files"] = "\n".join(str(one) for one in folder.rglob("*")).encode()
        return Evidence(texts, spool, specimens, line.said())


def _observer(line: Line) -> Caller:
    found = Caller(line.broker.port, line.authority, line.authority.consumer(OBSERVER), OBSERVER)
    assert found.subscribe("#") < FAILURE
    return found


def _speak(line: Line, disk: Path) -> None:
    port = int(line._ports["labo"])
    with socket.create_connection(("127.0.0.1", port)) as rude:
        rude.sendall(refused())
        assert rude.recv(1)
    (disk / FLUSH).write_text("EIO", encoding="ascii")
    line.analyzer = Astm(seed=1, options=BRISK)
    line.analyzer.load([message(0), unfinished()])
    line.stage.enter(tcp_client(line.analyzer, "127.0.0.1", port))
    line.until(lambda: "CommitRefused" in line.said(), "the disk fails while there is a patient in hand")
    (disk / FLUSH).unlink()
    line.analyzer.load([message(number) for number in range(1, MESSAGES)])
    line.until(lambda: line.analyzer and line.analyzer.is_finished, "all is said")
    line.until(lambda: line.waiting >= MESSAGES, "on disk")


def _reports(folder: Path) -> dict[str, bytes]:
    found = {}
    for words in (("inspect",), ("inspect", "--json"), ("verify",)):
        asked = [sys.executable, "-m", "provisioning.command", "spool", *words, "--config", str(folder / "jisr.toml")]
        done = run(asked, capture_output=True, check=False)
        found["jisr spool " + " ".join(words)] = done.stdout + done.stderr
    return found


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return _carry(tmp_path_factory.mktemp("run"))


def test_the_patients_results_arrived(evidence: Evidence) -> None:
    assert evidence.specimens == set(range(MESSAGES))
    assert any(name.startswith("agent.log") for name in evidence.texts)
    assert b'"health"' in evidence.texts["names of files"] or any("/health" in name for name in evidence.texts)


@pytest.mark.parametrize("name", PLANTED)
def test_no_word_of_a_patient_is_anywhere(evidence: Evidence, name: str) -> None:
    wanted = [token(name, number).encode() for number in range(MESSAGES)]
    assert [where for where, text in evidence.texts.items() if any(one in text for one in wanted)] == []


def test_a_sealed_spool_shows_nothing(evidence: Evidence) -> None:
    segments = {name: content for name, content in evidence.spool.items() if content[:4] == MAGIC}
    assert segments
    if any(content[VERSION_AT] < SEALED_VERSION for content in segments.values()):
        pytest.skip("this spool is not sealed (format 1)")
    words = [b"SPX4471", b"GLCC", b"mg/dl", b'"kind"', b"labo"]
    words += [token(name, number).encode() for name in PLANTED for number in range(MESSAGES)]
    assert [name for name, content in evidence.spool.items() if any(one in content for one in words)] == []
