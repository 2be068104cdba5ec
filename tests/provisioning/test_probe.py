"""`jisr probe` on loopback: what three makes announce, and what it must never do."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from gateway import language
from gateway.config import load
from gateway.ports import beacons as ports
from gateway.ports.beacons import Ear, Heard, listening
from gateway.ports.port import PortBusy
from provisioning import beacons
from provisioning.beacons import EARS, Announced, read
from provisioning.command import main
from provisioning.commands import probe
from simulators.central.lab_ca import LabAuthority
from simulators.devices.ge_dash import GeDash
from simulators.devices.mindray_pds import MindrayPds
from simulators.devices.philips_intellivue import PhilipsIntellivue

PATIENT = "DUPONT,JEAN"
INTELLIVUE, MINDRAY, DASH = (ear.port for ear in EARS)


def intellivue() -> bytes:
    return PhilipsIntellivue(1, frozenset(), {"transport": "lan", "address": "10.0.0.5"}).beacon(0.0)


def mindray() -> bytes:
    return MindrayPds(1, frozenset(), {}).announcement(0)


def dash() -> bytes:
    device = GeDash(1, frozenset(), {"channel": "discovery", "patient": PATIENT, "address": "10.0.0.7"})
    device.wake(0.0)
    for second in range(1, 60):
        if data := device.wake(float(second)):
            return data
    raise AssertionError("a monitor announces itself")


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    language.choose("en")
    yield
    language.choose("en")


def heard(port: int, data: bytes, sender: str = "10.0.0.5") -> Announced | None:
    return read(Heard(port, sender, data))


def test_what_each_make_announces() -> None:
    monitor = heard(INTELLIVUE, intellivue())
    assert monitor is not None
    assert (monitor.driver, monitor.profile, monitor.port) == (
        "philips_intellivue",
        "intellivue_lan",
        "udp:10.0.0.5:24105",
    )
    assert monitor.model
    other = heard(MINDRAY, mindray())
    assert other is not None
    assert (other.driver, other.profile, other.port) == ("mindray_pds", "monitor", "tcp:192.168.8.188:4601")
    assert other.place.startswith("ICU/")
    third = heard(DASH, dash())
    assert third is not None
    assert (third.driver, third.profile, third.port) == ("ge_dash", "dash", "udp:10.0.0.7:7001:7001")


def test_no_patient_is_told() -> None:
    """The name stands in the datagram of a Dash and nowhere in what is made of it."""
    assert b"DUPONT" in dash()
    for seen in (heard(DASH, dash()), heard(MINDRAY, mindray()), heard(INTELLIVUE, intellivue())):
        assert seen is not None
        assert not re.search("dupont|jean", f"{seen!r}{seen.block()}{probe._shown(seen)}", re.I)


@pytest.mark.parametrize("port", [INTELLIVUE, MINDRAY, DASH])
@given(data=st.binary(max_size=300), cut=st.integers(0, 400))
def test_any_datagram_is_a_monitor_or_nothing(port: int, data: bytes, cut: int) -> None:
    own = {INTELLIVUE: intellivue, MINDRAY: mindray, DASH: dash}[port]()
    for one in (data, own[:cut] + data, data + own):
        seen = heard(port, one)
        assert seen is None or seen.block()


def test_the_block_is_a_configuration(tmp_path: Path) -> None:
    authority = LabAuthority(tmp_path / "pki")
    pair = authority.gateway("gw-1")
    head = f"""[gateway]
id = "gw-1"
site = "s"
[uplink]
broker = "mqtts://b.example:8883"
ack = "broker"
tls = {{ ca = "{authority.ca}", certificate = "{pair.certificate}", key = "{pair.key}" }}
[spool]
path = "{tmp_path}/spool"
secret = "{tmp_path}/secret"
"""
    for make, port in ((intellivue, INTELLIVUE), (mindray, MINDRAY)):
        seen = heard(port, make())
        assert seen is not None
        device = tomli.loads(seen.block())["device"][0]
        assert (device["name"], device["port"]) == (seen.name, seen.port)
        assert "first_trial" not in device, "nothing is sent before a person has said that no patient is attached"
        (tmp_path / "jisr.toml").write_text(head + seen.block(), encoding="utf-8")
        assert load(tmp_path / "jisr.toml").device[0].name == seen.name


def test_a_place_that_a_person_typed_cannot_break_the_block() -> None:
    seen = Announced("mindray_pds", "monitor", "tcp:h:1", "h", "h", MINDRAY, place='A"\\\n[x]' * 20)
    assert tomli.loads(seen.block())["device"][0]["place"] == ('A"\\\n[x]' * 20)[:64]


def free_udp() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


def says(port: int, data: bytes) -> tuple[threading.Thread, list[bytes], threading.Event]:
    """A monitor that announces itself again and again, and what it hears back."""
    answers: list[bytes] = []
    is_over = threading.Event()

    def go() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.bind(("127.0.0.1", 0))
            line.settimeout(0.05)
            while not is_over.is_set():
                line.sendto(data, ("127.0.0.1", port))
                try:
                    answers.append(line.recv(100))
                except OSError:
                    time.sleep(0.01)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    return thread, answers, is_over


@pytest.mark.parametrize("is_json", [True, False])
def test_the_command_tells_each_monitor_once_and_sends_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_json: bool
) -> None:
    ears = tuple(Ear(free_udp()) for _make in range(3))
    monkeypatch.setattr(beacons, "EARS", ears)
    monkeypatch.setattr(probe, "EARS", ears)
    talking = [says(ear.port, make()) for ear, make in zip(ears, (intellivue, mindray, dash), strict=True)]
    try:
        code = main(["probe", "--seconds", "1.5", *(["--json"] if is_json else [])])
    finally:
        for thread, _answers, is_over in talking:
            is_over.set()
            thread.join(5)
    out = capsys.readouterr().out
    assert code == 0
    assert [answers for _thread, answers, _over in talking] == [[], [], []]
    if is_json:
        told = json.loads(out)["monitors"]
        assert {one["driver"] for one in told} == {"philips_intellivue", "mindray_pds", "ge_dash"}
        assert len(told) == 3
    else:
        assert out.count("[[device]]") == 3
        assert "10.0.0.5: philips_intellivue, intellivue_lan" in out


@pytest.mark.parametrize(("lang", "word"), [("en", "Nothing was heard"), ("fr", "Rien n'a été entendu")])
def test_nothing_heard_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lang: str, word: str
) -> None:
    ears = (Ear(free_udp(), "224.0.23.63"), Ear(free_udp()), Ear(free_udp()))
    monkeypatch.setattr(beacons, "EARS", ears)
    monkeypatch.setattr(probe, "EARS", ears)
    assert main(["--lang", lang, "probe", "--seconds", "0.05"]) == 1
    assert word in capsys.readouterr().err


def test_a_port_that_somebody_holds_alone() -> None:
    async def play(port: int) -> None:
        async with listening([Ear(port)]):
            raise AssertionError("it is held")

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("", 0))
        with pytest.raises(PortBusy):
            asyncio.run(play(holder.getsockname()[1]))


def test_a_listener_has_no_word_for_sending() -> None:
    """Law 3: to listen is always free, and this room can do nothing else."""
    assert not re.search(r"\.(?:send|write|connect)", Path(ports.__file__).read_text(encoding="utf-8"))


@pytest.mark.parametrize("seconds", ["0", "-1", "x", "1e9"])
def test_a_time_that_is_none(seconds: str) -> None:
    with pytest.raises(SystemExit):
        main(["probe", "--seconds", seconds])
