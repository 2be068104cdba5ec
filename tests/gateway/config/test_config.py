"""A wrong configuration: every mistake with its line, what was found, what would be right, the nearest spelling."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers import catalog
from gateway import language
from gateway.config import ConfigErrors, Problem, load
from tests.gateway.config.fakes import HEAD, LAB, POWER, VENT, lay_out, use_fakes

GOOD = HEAD + VENT + LAB + POWER


@pytest.fixture(autouse=True)
def _small_catalog(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_fakes(monkeypatch)
    lay_out(tmp_path)
    language.choose("en")


def problems_of(folder: Path, text: str) -> tuple[Problem, ...]:
    file = folder / "jisr.toml"
    file.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(ConfigErrors) as raised:
        load(file)
    assert raised.value.exit_code == 2
    return raised.value.problems


def changed(*changes: str) -> str:
    """The good configuration with `before → after` changes, each of which must fit once."""
    text = GOOD
    for change in changes:
        before, after = change.split(" → ")
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


# change, line, what is found, what would be right, nearest
WRONG = [
    # keys
    ("[gateway] → [gatway]", 1, 'unknown key "gatway" in the file', "", "gateway"),
    ('site = "chu-rabat" → sites = "chu-rabat"', 3, 'unknown key "sites" in [gateway]', "", "site"),
    (
        'site = "chu-rabat" → site = "CHU Rabat"',
        3,
        'site = "CHU Rabat" in [gateway] cannot be used',
        "small letters",
        "",
    ),
    ('site = "chu-rabat"\n → ', 1, 'missing key "site" in [gateway]', "small letters", ""),
    ("gw-rabat-017 → gw/rabat", 2, 'id = "gw/rabat"', "topics", ""),
    ("gw-rabat-017 → " + "a" * 65, 2, "aaaa…", "1 to 64", ""),
    ('id = "gw-rabat-017" → id = 17', 2, "id = 17 in [gateway]", "small letters", ""),
    ('site = "chu-rabat" → site = "chu-rabat"\nlanguage = "ar"', 4, 'language = "ar"', '"fr" or "en"', ""),
    ('[spool]\npath = "spool" → \n', 1, "there is no table [spool]", "[spool]", ""),
    (
        'path = "spool" → path = "spool"\nordner = 1',
        12,
        'unknown key "ordner" in [spool]',
        "one of the keys path",
        "",
    ),
    (
        'path = "spool" → path = "spool"\ncaps = { event = "1 giga" }',
        12,
        'event = "1 giga" in caps of [spool] is not a size',
        "a whole number and KiB, MiB or GiB",
        "",
    ),
    (
        'path = "spool" → path = "spool"\ncaps = { event = "1 GB" }',
        12,
        'event = "1 GB" in caps of [spool] is not a size',
        "at least 8 MiB",
        "1 GiB",
    ),
    (
        'path = "spool" → path = "spool"\ncaps = { log = "7 MiB" }',
        12,
        'log = "7 MiB" in caps of [spool] is not a size',
        "at least 8 MiB",
        "",
    ),
    (
        'path = "spool" → path = "spool"\ncaps = { wave = 4 }',
        12,
        "wave = 4 in [spool] caps cannot be used",
        "a size",
        "",
    ),
    (
        'path = "spool" → path = "spool"\ncaps = { waves = "4 GiB" }',
        12,
        'unknown key "waves" in [spool] caps',
        "",
        "wave",
    ),
    (
        'path = "spool" → path = "spool"\ncaps = "8 GiB"',
        12,
        'caps = "8 GiB" stands where a table must be',
        "a table",
        "",
    ),
    (
        'path = "spool" → path = "spool"\nsecret = "spool/secret"',
        12,
        'secret = "spool/secret" lies in the spool\'s own folder',
        "another partition",
        "",
    ),
    (
        'path = "spool" → path = "spool"\nsecret = "gateway.pem"',
        12,
        "gateway.pem holds no spool secret",
        "remove the file",
        "",
    ),
    ('path = "spool" → path = "spool"\n[privacy]\npatient = "drop"', 12, "[privacy] is not in this version", "", ""),
    # uplink
    ('site = "chu-rabat" → site = "meta"', 3, 'site = "meta" is the platform', "hospital", ""),
    ('ack_key = → encoding = "compat"\nack_key =', 8, 'encoding = "compat"', '"json"', "compact"),
    ("ack_key = → budget = 20\nack_key =", 8, "budget = 20 in [uplink]", "bytes per hour", ""),
    ('ack_key = → budget = "20MB/h"\nack_key =', 8, 'budget = "20MB/h"', "at least one MiB", "20 MiB/h"),
    ('ack_key = → budget = "1 GiB"\nack_key =', 8, 'budget = "1 GiB"', "/h", "1 GiB/h"),
    ('ack_key = → budget = "1 GiB/d"\nack_key =', 8, 'budget = "1 GiB/d"', "/h", ""),
    ('ack_key = → budget = "900 KiB/h"\nack_key =', 8, 'budget = "900 KiB/h"', "at least one MiB", ""),
    ('ack_key = → budget = "0 MiB/h"\nack_key =', 8, 'budget = "0 MiB/h"', "a whole number", ""),
    ('ack_key = → budget = "plenty"\nack_key =', 8, 'budget = "plenty"', "a whole number", ""),
    ('ack_key = → encoding = "jsonn"\nack_key =', 8, 'encoding = "jsonn"', '"json"', "json"),
    ('ack_key = → ack = "platfrom"\nack_key =', 8, 'ack = "platfrom"', '"platform"', "platform"),
    ("mqtts:// → mqtt://", 6, "without TLS", "mqtts://HOST:PORT", "mqtts://platform.example:8883"),
    ("mqtts://platform.example:8883 → mqtt://b:1883", 6, "without TLS", "", "mqtts://b:8883"),
    (":8883 → ", 6, "is not the address of a broker", "", "mqtts://platform.example:8883"),
    (":8883 → :70000", 6, "is not the address of a broker", "", "mqtts://platform.example:8883"),
    ("mqtts://platform → mqtts://me:secret@platform", 6, "is not the address of a broker", "certificate", ""),
    ("mqtts:// → https://", 6, "is not the address of a broker", "", "mqtts://platform.example:8883"),
    ("mqtts://platform.example:8883 → mqtts://", 6, "is not the address of a broker", "", ""),
    ('ack_key = "ack.key" → ', 5, 'missing key "ack_key" in [uplink] (ack = "platform")', "file", ""),
    ('ack_key = "ack.key" → ack = "platform"', 8, 'missing key "ack_key"', "file", ""),
    ('key = "gateway.key" → key = "gone.key"', 7, "gone.key: there is no such file", "looked for in", ""),
    ('key = "gateway.key" → kye = "gateway.key"', 7, 'unknown key "kye" in [uplink] tls', "", "key"),
    ('ca = "ca.pem" → \n ca = "gateway.key"', 8, "gateway.key holds no certificate", "PEM", ""),
    ('key = "gateway.key" → key = "ack.key"', 7, "ack.key holds no private key", "PEM", ""),
    ('ack_key = "ack.key" → ack_key = "gateway.key"', 8, "holds no acknowledgement key", "64 hexadecimal", ""),
    ('"gateway.key" }\n → "gateway.key", crl = "ca.pem" }\n', 7, "holds no list of revoked", "CRL", ""),
    (
        'tls = { ca = "ca.pem", certificate = "gateway.pem", key = "gateway.key" } → tls = 3',
        7,
        "tls = 3",
        "a table",
        "",
    ),
    # device
    (
        'profile = "evita_4" → porfile = "evita_4"',
        16,
        'unknown key "porfile" in [[device]] "rea-lit4-vent"',
        "",
        "profile",
    ),
    ("rea-lit4-vent → Réa", 14, 'name = "Réa" in [[device]] "Réa"', "small letters", ""),
    ('name = "rea-lit4-vent"\n → ', 13, 'missing key "name" in [[device]] #1', "small letters", ""),
    (
        '"labo-hemato" → "rea-lit4-vent"',
        20,
        'the name "rea-lit4-vent" is taken by the device of line 13',
        "its own",
        "",
    ),
    ("draeger_medibus → draeger-medibuss", 15, 'no driver "draeger-medibuss"', "jisr drivers", "draeger_medibus"),
    ("evita_4 → evita4", 16, 'draeger_medibus has no profile "evita4"', "jisr drivers draeger_medibus", "evita_4"),
    ('profile = "evita_4"\n → ', 13, "has several profiles", "evita_4, evita_xl", ""),
    ('profile = "evita_4" → profile = 4', 16, "profile = 4", "device family", ""),
    ('line = "19200 8E1" → place = "a\\u0000b"', 18, 'place = "a\\u0000b"', "64 characters", ""),
    ('line = "19200 8E1" → mode = "tst"', 18, 'mode = "tst"', '"real"', "test"),
    ('line = "19200 8E1" → listen_only = "yes"', 18, 'listen_only = "yes"', "true or false", ""),
    ("sysmex_xp → untried", 22, "profile untried of driver astm is a sketch", "accept_sketch = true", ""),
    ('"sysmex_xp" → "untried"\naccept_sketch = false', 22, "has never been seen with a device", "jisr drivers", ""),
    ('"sysmex_xp" → "untried"\naccept_sketch = "yes"', 23, 'accept_sketch = "yes"', "true or false", ""),
    ('"sysmex_xp" → "untried"\naccept_scetch = true', 23, 'key "accept_scetch"', "", "accept_sketch"),
    ('line = "19200 8E1" → first_trial = "no-patient"', 18, 'first_trial = "no-patient"', "person", "no_patient"),
    ('"19200 8E1" → "19200,8,e,1"', 18, 'line "19200,8,e,1" cannot be read', "data bits", "19200 8E1"),
    ('"19200 8E1" → "19220 8E1"', 18, "19220 baud is not a speed", "the device shows", "19200 8E1"),
    ("evita_4 → evita_xl|line = → #", 13, 'missing key "line" in [[device]] "rea-lit4-vent"', "19200 8E1", ""),
    ("serial:/dev/serial/by-path/pci-0:usb-1.2 → serial:/dev/ttyUSB0", 17, "ttyUSB0 may be another", "by-path", ""),
    ("/dev/serial/by-path/pci-0:usb-1.2 → /dev/../dev/ttyACM12", 17, "ttyACM12 may be another", "by-path", ""),
    ('"serial:/dev → "/dev', 17, "is no kind of port", "serial:", "serial:/dev/serial/by-path/pci-0:usb-1.2"),
    ("serial:/dev → seriel:/dev", 17, '"seriel" is no kind', "", "serial:/dev/serial/by-path/pci-0:usb-1.2"),
    ("tcp-listen:0.0.0.0:4001 → tcp:10.0.0.1", 23, "no host and port number", "tcp:HOST:PORT", ""),
    (
        "tcp-listen:0.0.0.0:4001 → modbus-tcp:10.0.0.1:502",
        23,
        "is not reached this way",
        "serial, tcp, tcp-listen",
        "",
    ),
    ("modbus-tcp:10.0.0.9:502 → tcp:10.0.0.9:502", 27, "is not reached this way", "modbus-tcp, modbus-rtu", ""),
    ('4001" → 4001"\nline = "9600 8N1"', 24, "a network port has no line settings", "converter", ""),
    ("tcp-listen:0.0.0.0:4001 → serial:/dev/serial/by-path/pci-0:usb-1.2", 23, "used by the device", "its own", ""),
    # options
    ("unit = 10 → unti = 10", 28, 'unknown key "unti" in [[device]] "groupe-electrogene" options', "", "unit"),
    ('unit = 10 → unit = "10"', 28, 'unit = "10"', "a whole number", ""),
    ("options = { unit = 10 } → options.low = 9\noptions.high = 2", 28, "low is above high", "registers", ""),
    ("options = { unit = 10 } → options = 3", 28, "options = 3", "own options", ""),
    ('line = "19200 8E1" → options.protocol = "4.0"', 18, 'protocol = "4.0"', '"3.00", "4.00"', "4.00"),
    ('line = "19200 8E1" → options = { period_s = "1" }', 18, 'period_s = "1"', "a number, without", ""),
    ('line = "19200 8E1" → options.pages = [1, "2"]', 18, "pages = [ … ]", "a list between square brackets", ""),
    ('line = "19200 8E1" → options.realtime = 1', 18, "realtime = 1", "true or false", ""),
    ('line = "19200 8E1" → options.codes = "a"', 18, 'codes = "a"', "a table: key", ""),
    (
        'line = "19200 8E1" → options.either = []',
        18,
        "either = []",
        "a whole number, without quotation marks, or text",
        "",
    ),
    (
        'options = { unit = 10 } → profile = "evita.toml"\n[device.options]\nx = 1',
        28,
        "evita.toml: there is no",
        "",
        "",
    ),
    ('profile = "sysmex_xp" → profile = "./my_map.toml"', 22, "driver astm takes none", 'driver = "registers"', ""),
]


@pytest.mark.parametrize(("change", "line", "found", "expected", "nearest"), WRONG)
def test_a_mistake(tmp_path: Path, change: str, line: int, found: str, expected: str, nearest: str) -> None:
    (problem,) = problems_of(tmp_path, changed(*change.split("|")))
    assert (problem.line, problem.nearest) == (line, nearest)
    assert found in problem.found
    assert expected in problem.expected
    assert problem.expected or problem.nearest
    assert f"jisr.toml, line {line}: {problem.found}" in problem.text()


def test_the_good_configuration_has_none(tmp_path: Path) -> None:
    (tmp_path / "jisr.toml").write_text(GOOD, encoding="utf-8")
    assert len(load(tmp_path / "jisr.toml").device) == 3


def test_all_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = changed("mqtts:// → mqtt://", "evita_4 → evita4", "19200 8E1 → x", "unit = → uint =", "[spool] → [spol]")
    found = problems_of(tmp_path, text)
    assert [problem.line for problem in found] == [6, 10, 16, 18, 28]


def test_the_block_a_person_reads(tmp_path: Path) -> None:
    (tmp_path / "jisr.toml").write_text(changed('profile = "evita_4" → porfile = "evita_4"'), encoding="utf-8")
    with pytest.raises(ConfigErrors) as raised:
        load(tmp_path / "jisr.toml")
    assert raised.value.text().replace(f"{tmp_path}/", "").splitlines() == [
        'jisr.toml, line 16: unknown key "porfile" in [[device]] "rea-lit4-vent"',
        '  did you mean "profile"?',
    ]


def test_french_is_chosen_when_it_is_shown_not_when_it_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (problem,) = problems_of(tmp_path, changed("unit = 10 → unti = 10"))
    french = {
        "unknown key {key} in {where}": "clé inconnue {key} dans {where}",
        "{file}, line {line}: {found}": "{file}, ligne {line} : {found}",
    }
    monkeypatch.setattr("gateway.config.problem._", lambda sentence: french.get(sentence, sentence))
    assert 'ligne 28 : clé inconnue "unti" dans [[device]] "groupe-electrogene" options' in problem.text()
    assert "unknown key" in problem.found


@pytest.fixture
def french() -> Iterator[None]:
    language.choose("fr")
    yield
    language.choose("en")


@pytest.mark.usefixtures("french")
def test_the_block_a_person_reads_in_french(tmp_path: Path) -> None:
    text = changed('profile = "evita_4" → porfile = "evita_4"', "[spool] → [zzz]")
    told = "\n".join(problem.text() for problem in problems_of(tmp_path, text)).replace(f"{tmp_path}/", "")
    assert told.splitlines() == [
        "jisr.toml, ligne 1 : il n'y a pas de table [spool]",
        "  ce qui serait juste : la ligne [spool], et ses clés sur les lignes suivantes",
        'jisr.toml, ligne 10 : clé inconnue "zzz" dans le fichier',
        "  ce qui serait juste : l'une des clés gateway, uplink, spool, device",
        'jisr.toml, ligne 16 : clé inconnue "porfile" dans [[device]] "rea-lit4-vent"',
        '  vouliez-vous dire "profile" ?',
    ]


@pytest.mark.usefixtures("french")
@pytest.mark.parametrize("change", [row[0] for row in WRONG])
def test_every_mistake_is_told_in_french(tmp_path: Path, change: str) -> None:
    (problem,) = problems_of(tmp_path, changed(*change.split("|")))
    assert f", ligne {problem.line} : " in problem.text()
    assert problem.found not in problem.text()


def test_problems_are_flat_text_for_tools(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, changed("unit = 10 → unti = 10"))
    assert msgspec.to_builtins(problem) == {
        "file": str(tmp_path / "jisr.toml"),
        "line": 28,
        "found": 'unknown key "unti" in [[device]] "groupe-electrogene" options',
        "expected": "",
        "nearest": "unit",
    }


SYNTAX = [
    ("a = ", 1, "Invalid value (column", "key = value"),
    ("[gateway]\nid = gw-rabat", 2, "Invalid value (column 6)", 'id = "gw-rabat"'),
    ("[gateway]\nid = 1\n\nid = 2", 4, "Cannot overwrite a value", "each key once"),
    ("a = 1\n[b\nc = 1", 2, "Expected ']'", ""),
    ("a = 1\nb = " + "9" * 5000, 2, "too many digits", ""),
    ("a = 1\n\nb = " + "[" * 3000, 3, "too many levels", ""),
    ("a = 1\nb = 1e99999999999999999999999", 2, "too many digits", ""),
    ("a = 1\n\x00", 2, "(column", ""),
    ("a = { b = 1, b = 2 }\n", 1, "(column", "each key once"),
    ("on = yes", 1, "Invalid value", 'on = "yes"'),
]


@pytest.mark.parametrize(("text", "line", "found", "expected"), SYNTAX)
def test_what_is_not_toml_is_one_problem(tmp_path: Path, text: str, line: int, found: str, expected: str) -> None:
    (problem,) = problems_of(tmp_path, text)
    assert (problem.line, found in problem.found) == (line, True), problem
    assert expected in problem.expected
    assert problem.text()


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ('[device]\nname = "x"\n', 13, "one pair of brackets"),
        ("[gateway.x]\n", 13, 'unknown key "x" in [gateway]'),
    ],
)
def test_brackets(tmp_path: Path, text: str, line: int, found: str) -> None:
    (problem,) = problems_of(tmp_path, HEAD + text)
    assert (problem.line, found in problem.found) == (line, True), problem


def test_tables_and_devices_of_another_type(tmp_path: Path) -> None:
    found = problems_of(tmp_path, "gateway = 3\ndevice = [ { },\n 5 ]\n")
    assert [problem.line for problem in found] == [1, 1, 1, 2, 2, 2, 3]
    assert "gateway = 3 stands where a table must be" in found[0].found
    assert found[-1].found == "element 2 of device is not a table"


def test_files_as_a_whole(tmp_path: Path) -> None:
    def found(name: str) -> str:
        with pytest.raises(ConfigErrors) as raised:
            load(tmp_path / name)
        (problem,) = raised.value.problems
        assert problem.line == 0
        assert problem.text().startswith(str(tmp_path))
        return problem.found

    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.toml").write_bytes(b"# r\xe9animation\n")
    (tmp_path / "large.toml").write_bytes(b"#" * (1 << 20) + b"#")
    assert "no such file" in found("absent.toml")
    assert "is a folder" in found("folder")
    assert "not UTF-8 text (byte 3)" in found("latin.toml")
    assert "larger than 1048576 bytes" in found("large.toml")
    assert "cannot be read" in found("nul\0.toml")
    assert "cannot be read" in found("x" * 300)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "jisr.toml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert len(load(file).device) == 3
    (problem,) = problems_of(tmp_path, changed("unit = 10 → unti = 10").replace("\n", "\r\n"))
    assert problem.line == 28


@pytest.mark.parametrize(("name", "line"), [("gateway.key", 7), ("ack.key", 8)])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_read(tmp_path: Path, name: str, line: int, mode: int) -> None:
    (tmp_path / name).chmod(mode)
    (problem,) = problems_of(tmp_path, GOOD)
    assert (problem.line, f"mode {mode:04o}" in problem.found) == (line, True)
    assert "chmod 600" in problem.expected


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really_open: Callable[..., IO[Any]] = Path.open

    def refuse(self: Path, mode: str = "r", **named: Any) -> IO[Any]:
        if self.name == "gateway.pem":
            raise PermissionError(13, "Permission denied")
        return really_open(self, mode, **named)

    monkeypatch.setattr(Path, "open", refuse)
    (tmp_path / "jisr.toml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ConfigErrors, match="cannot be read: Permission denied"):
        load(tmp_path / "jisr.toml")


@pytest.mark.parametrize("error", [ImportError("gone"), FileNotFoundError("profile.toml"), AttributeError("Options")])
@pytest.mark.parametrize("function", ["profile", "driver_class"])
def test_a_driver_that_is_half_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, function: str
) -> None:
    def broken(*names: str) -> None:
        raise error

    monkeypatch.setattr(catalog, function, broken)
    found = problems_of(tmp_path, GOOD)
    assert [problem.line for problem in found] == [15, 21, 26]
    assert all("not usable in this installation" in problem.found for problem in found)


_WORDS = (
    '[gateway] [[device]] [device.options] name driver port profile line options tls ca mqtts://a:1 = , { } [ ] " '
    "''' \"\"\" # . 1 -1 1e9 true 2024-01-01 \\u0000 serial:/dev/ttyUSB0 tcp:h:1 9600 astm registers é \u2028"
)
TOKENS = st.sampled_from([*_WORDS.split(" "), "\n"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.one_of(
        st.text(),
        st.lists(TOKENS).map(" ".join),
        st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), st.lists(TOKENS, max_size=3).map(" ".join)).map(
            lambda cut: GOOD[: cut[0]] + cut[2] + GOOD[cut[0] + cut[1] :]
        ),
    )
)
def test_nothing_but_config_errors_comes_out_of_any_text(tmp_path: Path, text: str) -> None:
    file = tmp_path / "any.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    for problem in _all_of(file):
        assert problem.text()
        assert problem.expected or problem.nearest
        assert 0 <= problem.line <= text.count("\n") + 1


def _all_of(file: Path) -> tuple[Problem, ...]:
    try:
        load(file)
    except ConfigErrors as errors:
        return errors.problems
    return ()


def test_a_missing_file_is_looked_for_where_the_configuration_is(tmp_path: Path) -> None:
    (told,) = problems_of(tmp_path, changed('ca = "ca.pem" → ca = "gone/ca.pem"'))
    assert told.expected.endswith(f"is looked for in {tmp_path}")


def test_a_table_that_is_declared_twice(tmp_path: Path) -> None:
    (told,) = problems_of(tmp_path, GOOD + '\n[device]\nname = "x"\n')
    assert "A table that is there already" in told.found


def test_a_wrong_key_file_is_called_wrong_before_it_is_called_open(tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_text("nothing", encoding="utf-8")
    (tmp_path / "other.pem").chmod(0o644)
    (told,) = problems_of(tmp_path, changed('key = "gateway.key" → key = "other.pem"'))
    assert "holds no private key" in told.found
