"""Hazard H4: each device's codes in that device's units, and in no other's; a device of another family is not read.

The tables here are written from the document, column by column, not from profile.toml.
"""

from decimal import Decimal
from typing import Any, cast

import pytest

from drivers import catalog
from drivers.draeger_medibus.driver import MedibusDriver
from drivers.observation import Alert, AnyObservation, Device, Enumeration, Numeric, Waveform
from drivers.profile import Profile
from tests.drivers.draeger_medibus.dialogue import Bench, response

PROFILES = catalog.profiles("draeger_medibus")
EVITAS_4 = ("evita_2_dura", "evita_4", "evita_xl")
VENTILATORS = ("evita", "evita_2", *EVITAS_4, "savina")
IDENTITIES = {
    "evita": b"8210'Evita'02.00:04.00",
    "evita_2": b"8200'Evita 2'02.00:04.00",
    "evita_2_dura": b"8230'Evita 2 dura'04.00:04.00",
    "evita_4": b"8240'Evita 4'04.00:04.00",
    "evita_xl": b"8260'EvitaXL'05.00:04.00",
    "savina": b"8250'Savina'03.00:04.00",
    "generic": b"9999'Fabius GS'03.00:04.00",
}

# "MEDIBUS for intensive care devices", measured values: code, unit, and where each column has it (M measured, L low
# limit, H high limit): Evita · Evita 2 · Evita 4, 2 dura, XL · Savina. C9 has no printed unit and is not here.
DOCUMENT = """
06 L/bar       - - M -        07 L/bar       M M M M
08 mbar/(L/s)  M M M M        0B mbar/(L/s)  - - M -
09 mL/min      - M M -        69 s           - - - M
6F s           - - - M        71 mbar        M M M -
72 mbar        M M M -        73 mbar        M M M M
74 mbar        M M M M        76 mL/s        - - - M
78 mbar        M M M M        79 mbar        M M M -
7A L/min       - - M M        7D mbar        MH MH MH MH
81 mL          M M M -        82 L           M M MH -
88 mL          - - M MH       89 mL          - M M -
8A %           - M M -        8B mL          - - M -
8D mbar        - - M -        B5 /min        M M M M
B7 L/min       M M M M        B8 L/min       - - MLH M
B9 L/min       MLH MLH MLH MLH
C1 Cel         M M M M        C6 %           - - - M
C7 %           - - - M        D6 /min        MH MH MH MH
DB %           - MLH MLH -    E3 kPa         - MLH MLH -
E6 mm[Hg]      - MLH MLH -    E1 /min        - - MLH -
EB %           - - MLH -      E7 1           - - - M
E8 1           - - - M        F0 %           M M M MLH
"""
COLUMNS = (("evita",), ("evita_2",), EVITAS_4, ("savina",))
ECHO = {"M": "24", "L": "25", "H": "26"}

SETTINGS = {
    **dict.fromkeys(("01",), "%"),
    **dict.fromkeys(("02", "29"), "L/min"),
    **dict.fromkeys(("04",), "L"),
    **dict.fromkeys(("05", "0F", "10", "11", "2E"), "s"),
    **dict.fromkeys(("07", "08"), "1"),
    **dict.fromkeys(("09",), "/min"),
    **dict.fromkeys(("0B", "0C", "0D", "0E", "12", "13"), "mbar"),
}
"""Device settings with a printed unit, the same for every device."""

# What both public code maps (OpenICE, VSCapture) give the same unit.
BOTH_MAPS = {
    **dict.fromkeys([f"24.{code:02X}" for code in range(0x50, 0x5E)], "kPa"),
    **dict.fromkeys(("24.06",), "L/bar"),
    **dict.fromkeys(("24.6B", "24.73", "24.74", "24.78", "24.7D", "2B.23"), "mbar"),
    **dict.fromkeys(("24.7E", "24.7F"), "L"),
    **dict.fromkeys(("24.83", "24.84", "24.85", "24.88", "2B.00", "2B.21", "2B.22"), "mL"),
    **dict.fromkeys(("24.AC", "24.AD"), "1"),
    **dict.fromkeys(("24.B2", "24.DD", "24.DE", "24.E2"), "mL/min"),
    **dict.fromkeys(("24.B4", "24.D5", "24.D7", "24.D9", "24.DF", "24.E1"), "/min"),
    **dict.fromkeys(("24.BD", "2B.07", "2B.7D"), "s"),
    **dict.fromkeys(("24.E5", "24.E6"), "mm[Hg]"),
    **dict.fromkeys(("24.E3", "24.FF"), "kPa"),
    **dict.fromkeys((f"24.{code}" for code in ("AE", "AF", "B0", "B1", "B3", "B6", "C4", "DA", "DB")), "%"),
    **dict.fromkeys((f"24.{code}" for code in ("E9", "EA", "EB", "ED", "EE", "EF", "F0", "FB", "FC")), "%"),
    **dict.fromkeys([f"24.{code:02X}" for code in range(0xF4, 0xFA)], "%"),
    **{"2B.06": "mbar/L", "2B.7B": "%"},
    **{f"29.{code}": unit for code, unit in SETTINGS.items()},
    **{"29.0A": "/min", "29.15": "mbar", "29.16": "/min", "29.17": "s", "29.42": "/min", "29.45": "mbar"},
}
CURVES = {
    **{"00": "mbar", "01": "L/min", "02": "%", "03": "mL", "05": "%", "06": "mm[Hg]", "07": "kPa", "08": "%"},
    **{"24": "mL", **dict.fromkeys(("0A", "0B", "0C", "0D", "0E", "0F"), "%")},
    **dict.fromkeys(("2A", "2B", "2C", "2D", "2E", "2F"), "kPa"),
}
CURVES_OF = {
    **dict.fromkeys(("evita", "evita_2", "savina"), {"00", "01", "03", "24"}),
    **dict.fromkeys(EVITAS_4, {"00", "01", "02", "03", "06", "07", "08", "24"}),
    "generic": set(CURVES) - {"02", "24"},
}


def document() -> dict[str, dict[str, str]]:
    """The document's table as profile → code with its command → unit."""
    table: dict[str, dict[str, str]] = {name: {} for name in VENTILATORS}
    words = DOCUMENT.split()
    for at in range(0, len(words), 6):
        code, unit, *cells = words[at : at + 6]
        for names, cell in zip(COLUMNS, cells, strict=True):
            for name in names:
                table[name] |= {f"{ECHO[letter]}.{code}": unit for letter in cell if letter != "-"}
    for name in VENTILATORS:
        table[name] |= {f"29.{code}": unit for code, unit in SETTINGS.items()}
    return table


UNITS = {**document(), "generic": BOTH_MAPS}


def bench_of(profile: str, **options: Any) -> Bench:
    """A started driver of this profile."""
    it = Bench(cast(MedibusDriver, catalog.create(PROFILES[profile], options)))
    it.start()
    return it


def operating(it: Bench) -> str:
    """The device's state as it was told last."""
    return [o.operating for o in it.seen if isinstance(o, Device)][-1]


def kind(profile: Profile, kind: str) -> dict[str, str]:
    """The codes of one kind with their units."""
    return {metric.code: metric.unit for metric in profile.metric if metric.kind == kind}


def test_all_seven_are_here() -> None:
    assert set(PROFILES) == set(UNITS) == set(IDENTITIES)
    assert len(PROFILES) == 7


@pytest.mark.parametrize("name", PROFILES)
def test_every_code_has_the_unit_of_its_column_and_no_code_is_of_another(name: str) -> None:
    assert kind(PROFILES[name], "numeric") == UNITS[name]


def test_what_is_generic_is_so_on_every_device_that_has_the_code() -> None:
    for name in VENTILATORS:
        both = UNITS[name].keys() & BOTH_MAPS.keys()
        assert len(both) > 20
        assert {code: UNITS[name][code] for code in both} == {code: BOTH_MAPS[code] for code in both}


@pytest.mark.parametrize("name", PROFILES)
def test_curves_of_the_device(name: str) -> None:
    assert kind(PROFILES[name], "waveform") == {f"RT.{code}": CURVES[code] for code in CURVES_OF[name]}


@pytest.mark.parametrize("name", PROFILES)
def test_litres_and_millilitres_are_never_one_code(name: str) -> None:
    volumes = {code: unit for code, unit in UNITS[name].items() if code[3:] in ("82", "88")}
    found = {code: unit for code, unit in kind(PROFILES[name], "numeric").items() if code[3:] in ("82", "88")}
    assert found == volumes
    assert {code[3:]: unit for code, unit in found.items()}.items() <= {"82": "L", "88": "mL"}.items()


@pytest.mark.parametrize("name", PROFILES)
def test_a_code_that_has_no_unit_in_the_document_stays_raw(name: str) -> None:
    codes = ("24.C9", "24.7B", "29.3C", "29.3D", "29.44", "29.4E", "29.4F", "RT.1C", "RT.20", "RT.21")
    assert not set(codes) & PROFILES[name].by_code.keys()


def test_minute_volume_of_the_code_maps_is_not_believed() -> None:
    """Both give B9 in L, the document for the ventilators in L/min."""
    assert "24.B9" not in PROFILES["generic"].by_code


PAIRS = [("24.B8", "24.B9"), ("24.82", "24.88"), ("24.7A", "24.B7"), ("24.06", "24.07"), ("24.08", "24.0B")]


@pytest.mark.parametrize("name", VENTILATORS)
@pytest.mark.parametrize("pair", [*PAIRS, ("25.B8", "25.B9"), ("26.B8", "26.B9")], ids="/".join)
def test_the_codes_of_a_pair_are_one_thing(name: str, pair: tuple[str, str]) -> None:
    found = [PROFILES[name].by_code[code] for code in pair if code in PROFILES[name].by_code]
    assert len({(metric.name, metric.extra["one_of"]) for metric in found}) <= 1


@pytest.mark.parametrize(
    ("name", "id", "line", "plan"),
    [
        ("evita", "8210", "19200 8E1", "24 27 2A 29 25 26"),
        ("evita_2", "8200", "19200 8E1", "24 27 2A 29 25 26"),
        ("evita_2_dura", "8230", "", "24 27 2E 2A 29 25 26"),
        ("evita_4", "8240", "", "24 27 2E 2A 29 25 26"),
        ("evita_xl", "8260", "", "24 27 2E 2A 29 25 26"),
        ("savina", "8250", "", "24 27 2E 2A 28 29 25 26"),
        ("generic", "", "", "24 2B 27 2E 2A 28 29 25 26 2C 2D"),
    ],
)
def test_line_identification_and_what_is_asked(name: str, id: str, line: str, plan: str) -> None:
    found = PROFILES[name]
    assert found.line == line
    assert found.options.get("ids", []) == ([id] if id else [])
    assert found.options["plan"] == plan.split()
    assert found.tier == ("sketch" if name == "generic" else "bench")


def everything(profile: str) -> list[bytes]:
    """An answer with every code of a device's table, alarms, texts and standby among them."""
    frames = []
    for echo, width in ((0x24, 4), (0x2B, 4), (0x25, 4), (0x26, 4), (0x29, 5)):
        codes = sorted(code[3:] for code in UNITS[profile] if code.startswith(f"{echo:02X}."))
        frames.append(response(echo, b"".join(code.encode() + b" 12 ".ljust(width) for code in codes)))
    frames.append(response(0x27, b"N10PAW HIGH    M33TIDVOL LO   "))
    frames.append(response(0x2E, b"O95STANDBY     "))
    return [*frames, response(0x2A, b"069Mode SIMV\x031E7STANDBY\x03")]


def told(it: Bench) -> list[AnyObservation]:
    """What was published under the profile's table."""
    named = [o for o in it.seen if isinstance(o, Numeric | Enumeration) and (o.value is not None or o.metric)]
    kinds = [o for o in it.seen if isinstance(o, Alert) and (o.metric or o.alert != "unknown")]
    return [*named, *kinds, *(o for o in it.seen if isinstance(o, Waveform) and o.unit)]


@pytest.mark.parametrize("device", PROFILES)
@pytest.mark.parametrize("profile", VENTILATORS)
def test_a_device_of_another_family_publishes_nothing_under_the_table(profile: str, device: str) -> None:
    it = bench_of(profile, curves=["00"])
    it.rx(response(0x52, IDENTITIES[device]))
    it.rx(response(0x53, b"00   16000-  10  100370"))
    for frame in everything(device):
        it.rx(frame + b"\xd1\x81\x81")
    it.stop()
    if device == profile:
        assert not it.faults
        assert len(told(it)) >= len(UNITS[device])
        assert operating(it) != "in_use"
    else:
        assert it.faults[0] == "wrong_device"
        assert told(it) == []
        assert [o for o in it.seen if isinstance(o, Numeric)], "published raw"


@pytest.mark.parametrize("device", PROFILES)
def test_generic_reads_any_device_and_gives_no_code_another_unit(device: str) -> None:
    it = bench_of("generic")
    it.rx(response(0x52, IDENTITIES[device]))
    for frame in everything(device):
        it.rx(frame)
    values = {o.vendor.code: o for o in it.seen if isinstance(o, Numeric) and o.vendor}
    assert values.keys() == UNITS[device].keys()
    for code, seen in values.items():
        if code in BOTH_MAPS:
            assert (seen.unit, seen.value) == (UNITS[device][code], Decimal(12))
        else:
            assert (seen.unit, seen.value, seen.reason) == ("", None, "unit_unknown")
    assert {o.alert for o in it.seen if isinstance(o, Alert)} == {"unknown"}


@pytest.mark.parametrize("profile", VENTILATORS)
def test_a_device_that_does_not_say_who_it_is_is_not_read(profile: str) -> None:
    it = bench_of(profile)
    it.rx(response(0x52))
    for frame in everything(profile):
        it.rx(frame)
    assert it.faults == ["no_identification"]
    assert told(it) == []


def test_generic_needs_no_identification() -> None:
    it = bench_of("generic")
    it.rx(response(0x52))
    it.rx(response(0x24, b"88 480"))
    assert it.faults == []
    assert len(told(it)) == 1


@pytest.mark.parametrize(
    ("name", "word"), [("evita", "unknown"), ("evita_4", "unknown"), ("savina", "physiological")]
)
def test_alarm_33_is_not_the_same_everywhere(name: str, word: str) -> None:
    it = bench_of(name)
    it.rx(response(0x27, b"M33TIDVOL LO   "))
    assert [o.alert for o in it.seen if isinstance(o, Alert)] == [word]


@pytest.mark.parametrize("name", PROFILES)
def test_in_use_is_only_said_where_the_device_would_say_standby(name: str) -> None:
    it = bench_of(name)
    it.rx(response(0x2E) + response(0x2A, b"069Mode SIMV\x03") + response(0x24, b"7D 24 "))
    assert operating(it) == ("in_use" if name in (*EVITAS_4, "savina") else "unknown")
    it.rx(response(0x2A, b"1E7STANDBY\x03"))
    it.rx(response(0x2A, b"069Mode SIMV\x03"))
    assert operating(it) == "in_use"


def test_age_and_weight_are_not_published() -> None:
    for name in PROFILES:
        it = bench_of(name)
        it.rx(response(0x29, b"4A  54 4B 71.5"))
        seen = [o for o in it.seen if isinstance(o, Numeric)]
        assert [(o.value, o.reason, o.vendor and o.vendor.text) for o in seen] == [(None, "patient_data", "")] * 2
        assert not [o for o in it.seen if "54" in repr(o) or "71.5" in repr(o)]


def test_a_perseus_is_named_to_whoever_chooses_generic() -> None:
    found = PROFILES["generic"]
    assert "Perseus A500" in found.models
    assert [entry for entry in found.protocol.do_not_send if "Perseus A500" in entry]
