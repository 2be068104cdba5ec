"""Units that the monitor can change and never tells: what the configuration says, and what speaks against it."""

import pytest

from drivers.observation import Numeric
from drivers.quality import Gate
from tests.drivers.mindray_pds.messages import bench, by_code, message, nm, profile, values


@pytest.mark.parametrize(
    ("unit", "text", "found"),
    [
        ("Cel", "36.8", ("36.8", "valid")),
        ("Cel", "60", ("60", "valid")),
        ("Cel", "98.2", ("", "unit")),
        ("[degF]", "98.2", ("98.2", "valid")),
        ("[degF]", "36.8", ("", "unit")),
        ("[degF]", "60", ("", "unit")),
        ("[degF]", "-100", ("", "missing")),
    ],
)
def test_temperature_is_in_the_unit_that_a_person_has_read(unit: str, text: str, found: tuple[str, str]) -> None:
    made = bench(temperature=unit)
    seen = made.rx(message(204, nm("200^T1", 2104, text)))
    assert values(seen)["200"] == found
    (one,) = (o for o in seen if isinstance(o, Numeric))
    assert one.unit == unit


def test_a_difference_is_not_judged_and_gases_have_their_option() -> None:
    made = bench(temperature="[degF]", gas="%")
    rows = (nm("202^TD", 2104, "1.1"), nm("254^FiO2", "", "21"), nm("220^EtCO2", "", "38"))
    seen = by_code(made.rx(message(204, *rows)))
    assert [(c, o.unit) for c, o in seen.items() if isinstance(o, Numeric) and o.value is not None] == [
        *(("202", "[degF]"), ("254", "%"), ("220", "mm[Hg]")),
    ]


@pytest.mark.parametrize(
    ("code", "text", "options", "found"),
    [
        ("200", "122", {"temperature": "[degF]"}, "valid"),
        ("200", "122.1", {"temperature": "[degF]"}, "implausible"),
        ("202", "72.0", {"temperature": "[degF]"}, "valid"),
        ("202", "72.1", {"temperature": "[degF]"}, "implausible"),
        ("211", "31", {"temperature": "[degF]"}, "implausible"),
        ("211", "104", {"temperature": "[degF]"}, "valid"),
        ("250", "5.1", {"gas": "kPa"}, "valid"),
        ("250", "38", {"gas": "kPa"}, "implausible"),
        ("250", "38", {"gas": "%"}, "implausible"),
        ("254", "21", {"gas": "%"}, "valid"),
        ("254", "21", {"gas": "kPa"}, "valid"),
        ("254", "160", {"gas": "%"}, "implausible"),
        ("254", "160", {}, "valid"),
        ("254", "40", {}, "implausible"),
        ("250", "38", {}, "valid"),
    ],
)
def test_what_is_plausible_in_the_unit_that_is_set(code: str, text: str, options: dict[str, str], found: str) -> None:
    """With the gate behind the driver, as it runs: the gate knows the profile's units, the driver the others."""
    made, gate = bench(**options), Gate(profile())
    output = gate.check(made.driver.receive(message(204, nm(code, "", text)), made.now), made.now)
    (one,) = (o for o in output.observations if isinstance(o, Numeric))
    assert (str(one.value), one.reason or one.validity) == (text, found)


def test_limits_of_temperature_are_guarded_as_well() -> None:
    for unit, sent, found in (
        ("Cel", "38.5", ("38.5", "valid")),
        ("Cel", "101.3", ("", "unit")),
        ("[degF]", "38.5", ("", "unit")),
        ("[degF]", "101.3", ("101.3", "valid")),
    ):
        made = bench(temperature=unit)
        low = "36.0" if unit == "Cel" else "96.8"
        seen = made.rx(message(51, nm("2002^", 200, sent), nm("2003^", 200, low)))
        assert values(seen)["2002.200"] == found
