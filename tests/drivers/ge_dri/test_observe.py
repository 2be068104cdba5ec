"""What values, waveforms and alarms become."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.observation import Alert, Device, Enumeration, Numeric, Waveform
from tests.drivers.ge_dri.made import (
    AT,
    INVALID,
    USUAL,
    Group,
    displayed,
    frame,
    raw_record,
    record,
    screen,
    subrecord,
    wave,
)
from tests.drivers.masimo_ascii.port import Port, alerts, devices, port, values

LABELS = ["ART", "CVP", "PA", "RAP", "RVP", "LAP", "ICP", "ABP", "P1", "P2", "P3", "P4", "P5", "P6"]
LABELS += ["SP", "FEM", "UAC", "UVC", "ICP2", "P7", "P8", "FEMV"]
PLACES = {1: "ESO", 2: "NASO", 3: "TYMP", 4: "RECT", 5: "BLAD", 6: "AXIL", 7: "SKIN", 8: "AIRW", 9: "ROOM"}


def monitor(profile: str = "s5", **options: Any) -> Port:
    """A fresh driver."""
    return port("ge_dri", profile, **options)


def read(groups: dict[str, Group], *, level: int = 8) -> dict[str, tuple[str, str]]:
    """Values of one message by code: value and validity or reason."""
    return {code: (value, why) for code, value, why in values(monitor().rx(displayed(groups, level=level)))}


@pytest.mark.parametrize(
    ("groups", "wanted"),
    [
        ({"ECG": (0x0B, 0, (72, 150, -25, 0, 16))}, {"hr": "72", "st1": "1.50", "st2": "-0.25", "imp_rr": "16"}),
        ({"NIBP": (3, 0, (12050, 8010, 9330, 70))}, {"sys": "120.50", "dia": "80.10", "mean": "93.30", "hr": "70"}),
        ({"SPO2": (3, 0, (9800, 71, 155, 0))}, {"spo2": "98.00", "pr": "71", "ir_amp": "1.55"}),
        ({"CO2": (3, 0, (525, 10, 12, 7600))}, {"et": "5.25", "fi": "0.10", "rr": "12", "amb_press": "760.0"}),
        ({"O2": (3, 0, (1650, 2100))}, {"et": "16.50", "fi": "21.00"}),
        ({"N2O": (3, 0, (6000, 6100))}, {"et": "60.00", "fi": "61.00"}),
        (
            {"FLOW": (3, 0, (12, 2000, 500, 1800, 5000, 4980, 4500, 600))},
            {
                "rr": "12",
                "ppeak": "20.00",
                "peep": "5.00",
                "pplat": "18.00",
                "tv_insp": "500.0",
                "tv_exp": "498.0",
                "compl": "45.00",
                "mv_exp": "6.00",
            },
        ),
    ],
)
def test_scales(groups: dict[str, Group], wanted: dict[str, str]) -> None:
    found, (name,) = read(groups), groups
    for field, value in wanted.items():
        assert found[f"{name}.{field}"] == (value, "valid"), field


def test_a_message_has_a_value_for_each_number_of_each_group() -> None:
    """Each number at its own place: all different, so that a shifted one would be seen."""
    counts = {"ECG": 5, "NIBP": 4, "SPO2": 4, "CO2": 4, "O2": 2, "N2O": 2, "AA": 3, "FLOW": 8}
    counts |= {name: 4 if name.startswith("IBP") else 1 for name in AT if name not in counts}
    number = iter(range(1, 200))
    groups: dict[str, Group] = {name: (0x0B, 0, [next(number) for _n in range(counts[name])]) for name in AT}
    texts = [o.vendor.text for o in monitor().rx(displayed(groups, level=7)) if isinstance(o, Numeric) and o.vendor]
    assert sorted(int(text) for text in texts if " " not in text) == list(range(1, next(number)))


def test_co2_as_a_share_and_as_a_pressure() -> None:
    seen = monitor().rx(displayed({"CO2": (3, 0, (516, 4, 14, 7570))}))
    share, pressure = (one for one in seen if isinstance(one, Numeric) and one.vendor and "CO2.et" in one.vendor.code)
    assert (share.metric, share.unit, share.category) == ("MDC_CONC_AWAY_CO2_ET", "%", "measurement")
    assert (pressure.metric, pressure.unit, pressure.category) == ("MDC_AWAY_CO2_ET", "mm[Hg]", "calculation")
    assert pressure.value == Decimal("39.1"), "5.16 % of 757.0 mm[Hg] is 39.0612"
    assert pressure.vendor
    assert pressure.vendor.text == "516 7570"


@pytest.mark.parametrize(("et", "pressure"), [(INVALID, 7600), (500, INVALID), (-32001, -32001)])
def test_no_pressure_of_co2_without_both(et: int, pressure: int) -> None:
    found = read({"CO2": (3, 0, (et, 0, 12, pressure))})
    assert found["CO2.et_mmHg"][0] == ""


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (-32767, "invalid"),
        (-32766, "not_updated"),
        (-32765, "discontinuity"),
        (-32764, "under_range"),
        (-32763, "over_range"),
        (-32762, "not_calibrated"),
        (-32761, "special_value"),
        (-32768, "special_value"),
        (-32001, "special_value"),
    ],
)
def test_special_values(raw: int, why: str) -> None:
    assert read({"T1": (3, 15, (raw,))})["T_CORE.temp"] == ("", why)


def test_the_first_number_above_them_is_a_value() -> None:
    assert read({"T1": (3, 15, (-32000,))})["T_CORE.temp"] == ("-320.00", "valid")


@given(raw=st.integers(-32768, -32001), name=st.sampled_from(sorted(AT)))
def test_no_special_value_is_ever_a_number(raw: int, name: str) -> None:
    seen = monitor().rx(displayed({name: (0x0B, 0, (raw,))}, level=7))
    text = str(raw)
    assert not [
        o for o in seen if isinstance(o, Numeric) and o.vendor and o.vendor.text == text and o.value is not None
    ]


@pytest.mark.parametrize(("label", "name"), list(enumerate(LABELS, 1)))
def test_pressures_by_their_label(label: int, name: str) -> None:
    for channel in ("IBP1", "IBP4", "IBP5", "IBP6"):
        found = read({channel: (3, label, (12000, 8000, 9500, 61))})
        assert found[f"{name}.sys"] == ("120.00", "valid")
        assert found[f"{name}.mean"] == ("95.00", "valid")
        assert found[f"{name}.hr"] == ("61", "valid")


@pytest.mark.parametrize(("label", "name"), [*PLACES.items(), (15, "CORE"), (16, "SURF")])
def test_temperatures_by_their_label(label: int, name: str) -> None:
    assert read({"T3": (3, label, (3655,))}) == {f"T_{name}.temp": ("36.55", "valid")}


@pytest.mark.parametrize("label", [0, 10, 14, 17, 255])
def test_a_label_that_is_not_known_goes_by_its_channel(label: int) -> None:
    found = read({"T3": (3, label, (3655,)), "IBP2": (3, label + 50, (100, 50, 70, 60))})
    assert found["T3.temp"] == ("36.55", "valid")
    assert found["IBP2.mean"] == ("0.70", "valid")
    assert found["IBP2.label"] == ("", "unknown_code")


def test_two_channels_with_one_label() -> None:
    found = read({"IBP1": (3, 1, (12000, 8000, 9500, 61)), "IBP3": (3, 1, (11000, 7000, 8500, 61))})
    assert found["IBP1.sys"] == ("120.00", "valid")
    assert found["IBP3.sys"] == ("110.00", "valid")
    assert "ART.sys" not in found


@pytest.mark.parametrize(("label", "name"), [(0, "AA"), (1, "AA"), (2, "AA_HAL"), (4, "AA_ISO"), (6, "AA_SEV")])
def test_agents(label: int, name: str) -> None:
    found = read({"AA": (3, label, (210, 250, 110))})
    assert (found[f"{name}.et"], found[f"{name}.fi"]) == (("2.10", "valid"), ("2.50", "valid"))
    assert found[f"{name}.mac"] == ("1.10", "valid")


@pytest.mark.parametrize(
    ("source", "code", "word"),
    [
        (1, "hr", "ecg1"),
        (9, "hr", "ecg"),
        (2, "hr_ibp", "bp1"),
        (5, "hr_ibp", "bp4"),
        (7, "hr_ibp", "bp5"),
        (8, "hr_ibp", "bp6"),
        (6, "hr_pleth", "pleth"),
    ],
)
def test_the_source_of_the_heart_rate(source: int, code: str, word: str) -> None:
    found = read({"ECG": (3 | source << 3, 0, (72, 0, 0, 0, 0))})
    assert found[f"ECG.{code}"] == ("72", "valid")
    assert found["ECG.hr_source"] == (word, "valid")
    assert len([key for key in found if key.startswith("ECG.hr")]) == 2


@pytest.mark.parametrize("source", range(10, 16))
def test_a_source_that_is_not_known(source: int) -> None:
    found = read({"ECG": (3 | source << 3, 0, (72, 0, 0, 0, 0))})
    assert found[f"ECG.hr_source_{source}"] == ("", "unit_unknown")
    assert found["ECG.hr_source"] == ("", "unknown_code")


def test_no_source_is_no_heart_rate() -> None:
    assert read({"ECG": (3, 0, (72, 0, 0, 0, 0))})["ECG.hr"] == ("", "no_source")


@pytest.mark.parametrize(
    ("bits", "why"), [(0x100, "older_than_60_s"), (0x20, "measuring"), (0x40, "stasis"), (0x80, "calibrating")]
)
def test_the_cuff(bits: int, why: str) -> None:
    found = read({"NIBP": (3, bits | 0x08, (12000, 8000, 9500, 61))})
    assert [found[f"NIBP.{field}"] for field in ("sys", "dia", "mean", "hr")] == [("", why)] * 4
    assert found["NIBP.mode"] == ("auto", "valid")


@pytest.mark.parametrize("status", [1, 0x0D])
def test_a_module_that_is_not_active(status: int) -> None:
    assert read({"SPO2": (status, 0, (9800, 70, 100, 0))})["SPO2.spo2"] == ("", "inactive")


def test_a_module_that_is_not_there_says_nothing() -> None:
    assert read({"SPO2": (2, 0, (9800, 70, 100, 0))}) == {}


@pytest.mark.parametrize(("level", "is_read"), [(7, True), (8, False), (10, False)])
def test_svo2_by_level(level: int, is_read: bool) -> None:
    assert ("SPO2.svo2" in read({"SPO2": (3, 0, (9800, 70, 100, 7000))}, level=level)) == is_read


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (1 << 2, "ECG.asystole", "physiological"),
        (1 << 7, "ECG.noise", "technical"),
        (1 << 8, "ECG.artefact", "technical"),
        (1 << 11, "ECG.lead_off_11", "technical"),
        (1 << 13, "ECG.lead_off_13", "technical"),
    ],
)
def test_status_bits_are_alerts_once(status: int, code: str, kind: str) -> None:
    made = monitor()
    on: dict[str, Group] = {**USUAL, "ECG": (0x0B | status, 0, (72, 0, 0, 0, 0))}
    for _turn in range(3):
        made.rx(displayed(on))
    seen = [o for o in made.seen if isinstance(o, Alert)]
    assert [(o.vendor.code, o.presence, o.alert, o.priority) for o in seen if o.vendor] == [
        (code, "on", kind, "unknown")
    ]
    assert alerts(made.rx(displayed())) == [(code, "off")]


def test_gas_conditions() -> None:
    for bit, why in ((3, "calibrating"), (4, "zeroing")):
        found = read({"CO2": (3 | 1 << bit, 0, (516, 4, 14, 7570))})
        assert found["CO2.et"] == found["CO2.rr"] == ("", why)
        assert found["CO2.amb_press"] == ("757.0", "valid")
    for bit, why in ((5, "occlusion"), (6, "leak")):
        assert read({"CO2": (3 | 1 << bit, 0, (516, 4, 14, 7570))})["CO2.et"] == ("5.16", why)


def test_classes_by_their_bits_not_by_their_place() -> None:
    made = monitor()
    other: dict[str, Group] = {"ECG": (0x0B, 0, (99, 0, 0, 0, 0))}
    parts = [(1, subrecord(other, klass=1)), (1, subrecord(USUAL)), (1, subrecord(other, klass=3))]
    seen = values(made.rx(record(0, parts)))
    assert ("ECG.hr", "72", "valid") in seen
    assert not [one for one in seen if one[1] == "99"]
    assert [(f.reason, f.detail) for f in made.faults] == [
        ("unknown_record", "class 1"),
        ("unknown_record", "class 3"),
    ]


def test_trends_have_codes_of_their_own() -> None:
    made = monitor()
    for kind, prefix in ((2, "10s."), (3, "60s.")):
        seen = [o for o in made.rx(displayed(kind=kind)) if isinstance(o, Numeric | Enumeration | Alert)]
        assert all(isinstance(o, Numeric) and o.vendor and o.vendor.code.startswith(prefix) for o in seen)
        assert (f"{prefix}SPO2.spo2", "97.50", "valid") in values(list(seen))
        assert not [o for o in seen if o.metric]
    hot: dict[str, Group] = {
        "T1": (3, 15, (6000,)),
        "T2": (3, 1, (INVALID,)),
        "ECG": (3 | 12 << 3, 0, (70, 0, 0, 0, 0)),
    }
    found = values(made.rx(displayed(hot, kind=2)))
    assert ("10s.T_CORE.temp", "60.00", "implausible") in found
    assert ("10s.T_ESO.temp", "", "invalid") in found
    assert ("10s.ECG.hr_source_12", "", "unit_unknown") in found


def test_in_use_standby() -> None:
    made = monitor()
    made.rx(displayed())
    made.rx(displayed({"CO2": (3, 0, (INVALID, INVALID, INVALID, 7570)), "T1": (3, 9, (2100,))}))
    made.rx(displayed({"T1": (3, 15, (3650,))}))
    made.rx(displayed({"SPO2": (3, 0, (9700, INVALID, 0, 0))}))
    assert [operating for _link, operating, _why in devices(made.seen)][2:] == ["in_use", "standby", "in_use"]


def test_identity_and_time() -> None:
    made = monitor()
    made.rx(displayed(level=9, time=1_700_000_000))
    told = [o for o in made.seen if isinstance(o, Device)][-1]
    assert told.identity == {"dri_level": "9", "plug_id": "4321"}
    assert {o.device_time for o in made.seen if isinstance(o, Numeric)} == {"1700000000"}


def test_curves() -> None:
    made = monitor(curves=("ECG1", "CO2", "INVP1"))
    seen = made.rx(record(1, [wave(1, [-5, 0, 7]), wave(9, [516, -32000, -32767]), wave(4, [12000, 8000])]))
    ecg, co2, pressure = (o for o in seen if isinstance(o, Waveform))
    assert (ecg.samples, ecg.unit, ecg.scale, ecg.interval_us) == ((-5, 0, 7), "uV", Decimal(1), 3333)
    assert (co2.samples, co2.unit, co2.scale, co2.interval_us) == ((516, None, None), "%", Decimal("0.01"), 40_000)
    assert (pressure.unit, pressure.scale, pressure.interval_us) == ("mm[Hg]", Decimal("0.01"), 10_000)
    again = made.rx(record(1, [wave(1, [1, 2]), wave(9, [1], 1), wave(4, [], 0)]))
    assert [o.start for o in again if isinstance(o, Waveform)] == [3, 4]
    off = made.rx(record(1, [wave(1, [1, 2], 8), wave(9, [-32767])]))
    assert [(o.validity, o.reason) for o in off if isinstance(o, Waveform)] == [
        ("questionable", "lead_off"),
        ("not_available", "missing"),
    ]
    assert made.reasons() == []


def test_a_curve_that_was_not_asked_for() -> None:
    made = monitor(curves="CO2")
    assert not [o for o in made.rx(record(1, [wave(1, [1])])) if isinstance(o, Waveform)]
    assert made.reasons() == ["unknown_record"]


@pytest.mark.parametrize("data", [b"\x01\x00\x00", b"\x02\x00\x00\x00\x00\x00\x01\x00", b"\xff\xff\x00\x00\x00\x00"])
def test_samples_that_do_not_close(data: bytes) -> None:
    made = monitor(curves="CO2")
    assert made.rx(record(1, [(9, data)])) == []
    assert made.reasons() == ["subrecord!"]


def test_alarms_by_colour() -> None:
    made = monitor("carescape")
    made.rx(screen(("Apnée", 3), ("FC haute", 2), ("Sonde", 1), ("Info", 0), ("Autre", 9)))
    on = [o for o in made.seen if isinstance(o, Alert)]
    assert {(o.vendor.text, o.priority, o.vendor_priority) for o in on if o.vendor} == {
        ("Apnée", "high", "red"),
        ("FC haute", "medium", "yellow"),
        ("Sonde", "low", "white"),
        ("Info", "none", "none"),
        ("Autre", "unknown", "9"),
    }
    assert alerts(made.rx(screen(("Autre", 9), ("Info", 0), ("Sonde", 1), ("FC haute", 2)))) == [
        ("ALARM.Apnée", "off")
    ]
    assert len(alerts(made.rx(screen()))) == 4
    assert alerts(made.rx(screen())) == []


def test_an_alarm_shown_twice_is_one_with_the_more_urgent_colour() -> None:
    made = monitor("carescape")
    made.rx(screen(("FC haute", 3), ("FC haute", 1)))
    assert [o.priority for o in made.seen if isinstance(o, Alert)] == ["high"]


def test_alarms_are_not_read_where_the_profile_has_none() -> None:
    made = monitor("s5")
    assert not [o for o in made.rx(screen(("Apnée", 3))) if isinstance(o, Alert)]
    assert made.reasons() == ["unknown_record"]


@pytest.mark.parametrize(
    ("wire", "reasons"),
    [
        (record(0, [(1, subrecord()[:-1])]), ["subrecord!"]),
        (record(0, [(1, subrecord() + b"\0")]), ["subrecord!"]),
        (record(4, [(1, bytes(499))], level=10), ["subrecord!"]),
        (record(5, [(1, b"DUPONT JEAN")]), ["unknown_record"]),
        (record(0, [(4, bytes(120))]), ["unknown_record"]),
        (record(0, [(0, bytes(9))]), ["echo"]),
        (record(1, [(0, bytes(32))]), ["echo"]),
        (frame(raw_record(0, [])), []),
    ],
)
def test_what_is_not_read(wire: bytes, reasons: list[str]) -> None:
    made = monitor("carescape")
    seen = made.rx(wire)
    assert not [o for o in seen if not isinstance(o, Device)]
    assert "DUPONT" not in repr(seen) + repr(made.faults)
    assert made.reasons() == reasons


def test_one_bad_subrecord_and_nothing_of_the_record_is_said() -> None:
    made = monitor()
    assert made.rx(record(0, [(1, subrecord()), (1, subrecord()[:-2])])) == []
    assert made.reasons() == ["subrecord!"]


def test_every_row_of_the_tables_can_be_said() -> None:
    """Each code of the profile is one that the driver makes, and each has a label in both languages."""
    for profile in catalog.profiles("ge_dri").values():
        for row in profile.metric:
            assert row.label("fr"), row.code
            assert row.label("en"), row.code
