"""A right configuration: what comes out of it, what is said about it, and who may be sent to (law 3)."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from drivers import catalog
from gateway import language
from gateway.config import (
    Config,
    ConfigErrors,
    LineSettings,
    caps_of,
    driver_options,
    keys,
    line_settings,
    load,
    may_send,
    parse_budget,
    resolved_profile,
)
from gateway.spool.room import CAPS
from tests.gateway.config.fakes import HEAD, LAB, POWER, VENT, lay_out, profile, protocol, use_fakes

ROOT = Path(__file__).parents[3]
TRIED = VENT + 'first_trial = "no_patient"\n'


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Config]:
    use_fakes(monkeypatch)
    lay_out(tmp_path)
    language.choose("en")

    def load_text(text: str) -> Config:
        (tmp_path / "jisr.toml").write_text(text, encoding="utf-8")
        return load(tmp_path / "jisr.toml")

    return load_text


Read = Callable[[str], Config]


def test_names_are_looked_for_in_the_files_folder(read: Read, tmp_path: Path) -> None:
    config = read(HEAD.replace('site = "', 'socket = "agent.sock"\nsite = "'))
    assert config.gateway.socket == str(tmp_path / "agent.sock")
    assert config.spool.path == str(tmp_path / "spool")
    assert config.uplink.tls.ca == str(tmp_path / "ca.pem")
    assert config.uplink.tls.crl == ""
    assert config.uplink.ack_key == str(tmp_path / "ack.key")


def test_the_spool_s_caps_and_secret(read: Read, tmp_path: Path) -> None:
    config = read(HEAD)
    assert caps_of(config.spool.caps) == CAPS
    assert config.spool.secret == str(tmp_path / "spool.secret")
    config = read(HEAD.replace('path = "spool"', 'path = "spool"\ncaps = { wave = "9 MiB" }\nsecret = "/etc/x"'))
    assert caps_of(config.spool.caps) == CAPS | {"wave": 9 << 20}
    assert config.spool.secret == "/etc/x"


@pytest.mark.parametrize("key", ["", 'secret = "spool.secret"\n'])
def test_a_secret_that_is_there_is_looked_at(read: Read, tmp_path: Path, key: str) -> None:
    path = tmp_path / "spool.secret"
    text = HEAD.replace('path = "spool"\n', f'path = "spool"\n{key}')
    path.write_text("00" * 32 + "\n", encoding="ascii")
    path.chmod(0o400)
    read(text)
    path.chmod(0o444)
    with pytest.raises(ConfigErrors, match="mode 0444"):
        read(text)
    path.chmod(0o600)
    path.write_text("00" * 31, encoding="ascii")
    with pytest.raises(ConfigErrors, match="holds no spool secret"):
        read(text)


def test_a_relative_configuration_file(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(HEAD)
    monkeypatch.chdir(tmp_path)
    assert load(Path("jisr.toml")).spool.path == str(tmp_path / "spool")


def test_what_is_left_out_has_the_documented_value(read: Read) -> None:
    config = read(HEAD + LAB)
    assert (config.gateway.language, config.gateway.socket) == ("fr", "")
    assert (config.uplink.ack, config.uplink.encoding) == ("platform", "json")
    assert parse_budget(config.uplink.budget) == 0
    (lab,) = config.device
    assert (lab.line, lab.place, lab.options, lab.mode) == ("", "", {}, "real")
    assert (lab.first_trial, lab.listen_only) == ("", False)


def test_a_paid_link(read: Read) -> None:
    paid = 'encoding = "compact"\nbudget = "20 MiB/h"\nack_key ='
    config = read((HEAD + LAB).replace("ack_key =", paid))
    assert (config.uplink.encoding, parse_budget(config.uplink.budget)) == ("compact", 20 << 20)


def test_resolved(read: Read) -> None:
    vent, lab, power = read(HEAD + VENT + LAB + POWER).device
    assert [resolved_profile(each).name for each in (vent, lab, power)] == ["evita_4", "sysmex_xp", "dse_73xx"]
    assert line_settings(vent) == LineSettings(19200, 8, "E", 1)
    assert msgspec.to_builtins(driver_options(power)) == {"unit": 10, "low": 0, "high": 9}


def test_the_profiles_line_settings_where_the_device_names_none(read: Read) -> None:
    (vent,) = read(HEAD + VENT.replace('line = "19200 8E1"\n', "")).device
    assert line_settings(vent) == LineSettings(19200, 8, "E", 1)


LAW_3 = [
    (VENT, False, "ListenedTo"),
    (TRIED, True, ""),
    (TRIED.replace('line = "19200 8E1"\n', ""), False, "LineNotNamed"),
    (TRIED + "listen_only = true\n", False, ""),
    (TRIED.replace("evita_4", "old"), False, "NeverAsked"),
    (TRIED.replace("evita_4", "perseus"), True, "SomeNeverAsked"),
    (VENT.replace("evita_4", "perseus"), False, "ListenedTo"),
    (LAB, True, ""),
    (LAB + "listen_only = true\n", False, ""),
    (POWER, True, ""),
]


@pytest.mark.parametrize(("device", "sends", "notice"), LAW_3)
def test_law_3(read: Read, device: str, sends: bool, notice: str) -> None:
    config = read(HEAD + device)
    assert may_send(config.device[0]) == sends
    assert [type(each).__name__ for each in config.notices] == ([notice] if notice else [])
    for each in config.notices:
        assert config.device[0].name in each.text()


def test_a_profile_that_has_nothing_to_send_needs_no_trial(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    mute = msgspec.structs.replace(protocol(("serial",), bedside=True), allow=())
    monkeypatch.setattr(catalog, "profile", lambda *names: profile("draeger_medibus", "evita_4", mute, "9600 8N1"))
    config = read(HEAD + VENT)
    assert config.notices == ()
    assert not may_send(config.device[0])


def test_a_sketch_is_used_and_said(read: Read) -> None:
    accepted = LAB.replace("sysmex_xp", "untried") + "accept_sketch = true\n"
    config = read(HEAD + accepted + "listen_only = true\n")
    (notice,) = config.notices
    assert "labo-hemato: its profile untried is a sketch" in notice.text()
    assert "never been seen with a device" in notice.text()
    assert not may_send(config.device[0])
    at_the_bedside = [type(each).__name__ for each in read(HEAD + VENT + accepted).notices]
    assert at_the_bedside == ["ListenedTo", "SketchAccepted"]


def test_accepting_a_sketch_does_nothing_for_another_profile(read: Read) -> None:
    config = read(HEAD + LAB + "accept_sketch = true\n")
    assert config.notices == ()
    assert may_send(config.device[0])


def test_a_sketch_that_is_the_drivers_only_profile(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    one = profile("registers", "only", protocol(("modbus",), bedside=False), tier="sketch")
    monkeypatch.setattr(catalog, "profile", lambda *names: one)
    with pytest.raises(ConfigErrors) as raised:
        read(HEAD + POWER)
    (problem,) = raised.value.problems
    assert (problem.line, "profile only of driver registers" in problem.found) == (15, True)


def test_said_about_the_whole_box(read: Read) -> None:
    kinds = [type(each).__name__ for each in read(HEAD.replace("ack_key", 'ack = "broker"\nack_key')).notices]
    assert kinds == ["BrokerAnswers", "NoDevice"]


def test_the_brokers_word_needs_no_key_of_the_platform(read: Read) -> None:
    assert read(HEAD.replace('ack_key = "ack.key"', 'ack = "broker"')).uplink.ack_key == ""


def test_two_units_behind_one_modbus_address(read: Read) -> None:
    second = POWER.replace("groupe", "autre").replace("unit = 10", "unit = 11")
    assert len(read(HEAD + POWER + second).device) == 2
    with pytest.raises(ConfigErrors, match="used by the device"):
        read(HEAD + POWER + second.replace("unit = 11", "unit = 10"))
    with pytest.raises(ConfigErrors, match="used by the device"):
        read(HEAD + POWER.replace("unit = 10", "unit = 1") + second.replace("unit = 11", ""))


OWN = POWER.replace("options", 'profile = "./my_map.toml"\noptions')


def test_a_map_of_ones_own(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = profile("registers", "my_map", protocol(("modbus",), bedside=False))
    monkeypatch.setattr(catalog, "load_map", {tmp_path / "my_map.toml": mine}.__getitem__)
    monkeypatch.setattr("gateway.config.device.check_own_map", lambda text: [])
    (tmp_path / "my_map.toml").write_text("x = 1\n", encoding="utf-8")
    (device,) = read(HEAD + OWN).device
    assert device.profile == str(tmp_path / "my_map.toml")
    assert resolved_profile(device) is mine


def test_mistakes_of_a_map_are_shown_in_the_map(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"key": '"adress"'}
    bad = [
        SimpleNamespace(line=7, found="", template="unknown key {key}", facts=facts, expected="", nearest="address")
    ]
    monkeypatch.setattr("gateway.config.device.check_own_map", lambda text: bad)
    (tmp_path / "my_map.toml").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(ConfigErrors) as raised:
        read(HEAD.replace("chu-rabat", "CHU") + OWN)
    site, map_ = raised.value.problems
    assert site.line == 3
    assert map_.text() == f'{tmp_path / "my_map.toml"}, line 7: unknown key "adress"\n  did you mean "address"?'


def test_a_map_that_is_refused_as_a_whole(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise msgspec.ValidationError("no models")

    monkeypatch.setattr(catalog, "load_map", refuse)
    monkeypatch.setattr("gateway.config.device.check_own_map", lambda text: [])
    (tmp_path / "my_map.toml").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(ConfigErrors, match="no models"):
        read(HEAD + OWN)


TABLES = {
    "[gateway]": keys.GatewayConfig,
    "[uplink]": keys.UplinkConfig,
    "[uplink] tls": keys.TlsFiles,
    "[spool]": keys.SpoolConfig,
    "[[device]]": keys.DeviceConfig,
}


@pytest.mark.parametrize("page", ["configuration.md", "configuration.fr.md"])
def test_the_page_has_every_key_and_no_other(page: str) -> None:
    sections = re.split(r"^## `(.+)`$", (ROOT / "docs" / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    documented = {
        heading: re.findall(r"^\| `(\w+)` ", body, flags=re.MULTILINE)
        for heading, body in zip(sections[1::2], sections[2::2], strict=True)
    }
    assert documented == {name: list(struct.__struct_fields__) for name, struct in TABLES.items()}
    assert set(TABLES) == {"[gateway]", "[uplink]", "[uplink] tls", "[spool]", "[[device]]"}
    assert {each.name for each in msgspec.structs.fields(keys.Keys)} == {
        "gateway",
        "uplink",
        "spool",
        "device",
    }


def _example(folder: Path) -> Path:
    text = (ROOT / "examples" / "jisr.toml").read_text(encoding="utf-8")
    (folder / "jisr.toml").write_text(text, encoding="utf-8")
    lay_out(folder)
    return folder / "jisr.toml"


def test_the_example_of_three_devices(read: Read, tmp_path: Path) -> None:
    config = load(_example(tmp_path))
    assert [device.driver for device in config.device] == ["draeger_medibus", "astm", "registers"]
    assert [type(each).__name__ for each in config.notices] == ["ListenedTo"]


@pytest.mark.parametrize("driver", ["draeger_medibus", "astm", "registers"])
def test_the_example_with_the_real_catalog(tmp_path: Path, driver: str) -> None:
    file = _example(tmp_path)
    head, *devices = file.read_text(encoding="utf-8").split("[[device]]")
    (mine,) = (device for device in devices if f'driver = "{driver}"' in device)
    file.write_text(f"{head}[[device]]{mine}", encoding="utf-8")
    (device,) = load(file).device
    assert driver_options(device)
    assert resolved_profile(device).driver == driver


def test_a_map_of_ones_own_with_the_real_driver(tmp_path: Path) -> None:
    lay_out(tmp_path)
    ours = next((ROOT / "drivers" / "registers" / "maps").glob("*.toml"))
    (tmp_path / "my_map.toml").write_bytes(ours.read_bytes())
    file = tmp_path / "jisr.toml"
    file.write_text(HEAD + OWN, encoding="utf-8")
    assert resolved_profile(load(file).device[0]).name == "my_map"
    (tmp_path / "my_map.toml").write_bytes(ours.read_bytes() + b"\nnonsense = 1\n")
    with pytest.raises(ConfigErrors) as raised:
        load(file)
    assert {problem.file for problem in raised.value.problems} == {str(tmp_path / "my_map.toml")}
    assert raised.value.problems[0].line == ours.read_bytes().count(b"\n") + 2
    assert "nonsense" in raised.value.text()
