"""What the box reads beside what a person typed: values, units, scales, signs, words, and which sentence says so."""

import contextlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.observation import Result, Vendor
from gateway import language
from gateway.errors import JisrError
from provisioning import comparison as c
from provisioning.comparison import Mismatch, Shown, compare, number_text, parse_shown
from provisioning.latest import chosen, is_comparable
from provisioning.units import apart, is_same, scale_of, spelt


@pytest.fixture(autouse=True)
def english() -> Any:
    language.choose("en")
    yield
    language.choose("en")


def result(
    value: str | None, unit: str = "", vendor_unit: str = "", *, comparator: str = "", text: str = "", **more: Any
) -> Result:
    told: dict[str, Any] = {
        "validity": "questionable",
        "reason": "not_commissioned",
        "specimen": "S-4711",
        "test": "HGB",
        "status": "final",
        "identity": "1",
        "vendor": Vendor("HGB", text),
        "at": "2026-11-25T10:00:00.000Z",
    }
    return Result(
        **(told | more),
        value=Decimal(value) if value else None,
        comparator=comparator,  # type: ignore[arg-type]
        unit=unit,
        vendor_unit=vendor_unit,
        text=text or value or "",
    )


# -- what is the same, and how it is not -----------------------------------------------------------------------------

SAME = [
    (result("12.5", "g/dL", "g/dL"), "12.5 g/dL"),
    (result("12.5", "g/dL", "g/dL"), "12.50 g/dl"),
    (result("12.50", "g/dL", "G/DL"), "12.5g/dL"),
    (result("12.5", "g/dL"), "12.5 G/DL"),
    (result("7.2", "10*3/uL", "10)/mm)"), "7.2 10^3/µL"),
    (result("7.2", "10*3/uL", "10)/mm)"), "7.2 x10³/mm³"),
    (result("7.2", "10*9/L"), "7.2 G/L"),
    (result("7.2", "10*9/L"), "7.2 10^3/uL"),
    (result("4.5", "10*12/L"), "4.5 T/L"),
    (result("78", "fL", "5m)"), "78 µm³"),
    (result("2.1", "m[IU]/mL", "mUI/ml"), "2.1 mIU/mL"),
    (result("7.35"), "7.35"),
    (result("7.35", "", "1"), "7.35 -"),
    (result("1.2", "", "COI"), "1.2 coi"),
    (result("12.5", "g/dL", "gm/dl"), "12.5 gm/dl"),
    (result("0.5", "mg/L", comparator="<"), "<0.5 mg/L"),
    (result("0.5", "mg/L", comparator="<="), "≤ 0.50 mg/L"),
    (result("-1.5", "mmol/L"), "-1.5 mmol/L"),
    (result(None, answer="Positif"), "  positif "),
    (result(None, answer="MTB NOT DETECTED"), "MTB not  detected"),
    (result("38.5", "%", "%"), "38.5 %"),
]


@pytest.mark.parametrize(("seen", "typed"), SAME)
def test_the_same(seen: Result, typed: str) -> None:
    found = compare("labo", seen, parse_shown("HGB", typed))
    assert found.test == "HGB"
    assert "S-4711" not in repr(found)


OTHER = [
    (result("125", "g/dL"), "12.5 g/dL", c.OtherScale, "scale is wrong, by a factor of 10."),
    (result("1.25", "g/dL"), "125 g/dL", c.OtherScale, "factor of 100."),
    (result("12500", "g/dL"), "12.5 g/dL", c.OtherScale, "factor of 1000."),
    (result("1254", "g/dL"), "12.5 g/dL", c.OtherScale, "factor of 100."),
    (result("125"), "12.5", c.OtherScale, "factor of 10."),
    (result("12.5", "g/dL"), "125 g/L", c.Converted, "another unit, by a factor of 10."),
    (result("38.5", "%"), "0.385 L/L", c.Converted, "factor of 100."),
    (result("5.4", "mmol/L"), "5400 umol/L", c.Converted, "factor of 1000."),
    (result("12.5", "g/dL"), "12.5 g/L", c.OtherUnit, "the unit is not"),
    (result("12.5", "g/dL", "g/l"), "12.5 g/L", c.OtherUnit, "the box reads 12.5 g/dL, the display shows 12.5 g/L"),
    (result("12.5", "mU/L"), "12.5 MU/L", c.OtherUnit, "the unit is not"),
    (result("72", "g/L"), "72 G/L", c.OtherUnit, "the unit is not"),
    (result("5.4", "mmol/L"), "97 mg/dL", c.OtherUnitAndValue, "another unit, and another number"),
    (result("12.5", "g/dL"), "12.5", c.UnitNotShown, "no unit was given"),
    (result("12.5"), "12.5 g/dL", c.UnitNotSent, "the box has no unit"),
    (result("12.53", "g/dL"), "12.5 g/dL", c.Rounded, "rounded"),
    (result("12", "g/dL"), "12.4 g/dL", c.Rounded, "rounded"),
    (result("12.5", "g/dL"), "13.1 g/dL", Mismatch, "received on 2026-11-25 10:00:00 UTC"),
    (result("12.5", "g/dL"), "0 g/dL", Mismatch, "shows 0 g/dL"),
    (result("0.5", "mg/L", comparator="<"), "0.5 mg/L", c.OtherComparator, "the sign"),
    (result("0.5", "mg/L"), ">0.5 mg/L", c.OtherComparator, "the sign"),
    (result("0.5", "mg/L", comparator="<"), "<=0.5 mg/L", c.OtherComparator, "the sign"),
    (result(None, answer="Positif"), "Négatif", c.OtherWord, "the box reads Positif, the display shows Négatif"),
    (result(None, answer="Positif"), "1", c.OtherWord, "shows 1"),
    (result("1", "mg/L"), "Positif", c.OtherWord, "reads 1 mg/L"),
    (result("1E+30", "mg/L"), "1 mg/L", Mismatch, "the box reads 1000"),
    (
        result("12345678901234567890.12345678901234567890", "mg/L"),
        "12345678901234567890.1234567890123456788 mg/L",
        Mismatch,
        "",
    ),
]


@pytest.mark.parametrize(("seen", "typed", "kind", "words"), OTHER)
def test_not_the_same(seen: Result, typed: str, kind: type[Mismatch], words: str) -> None:
    with pytest.raises(Mismatch) as raised:
        compare("labo", seen, parse_shown("HGB", typed))
    assert type(raised.value) is kind
    assert words in raised.value.text()
    assert "S-4711" not in raised.value.text()


# -- what is typed ---------------------------------------------------------------------------------------------------


def test_a_decimal_comma_is_read_in_french_only() -> None:
    with pytest.raises(c.NotPlain):
        parse_shown("HGB", "12,5 g/dL")
    language.choose("fr")
    assert parse_shown("HGB", "12,5 g/dL") == Shown("12,5 g/dL", Decimal("12.5"), "", "g/dL")
    assert parse_shown("HGB", "12.5 g/dL").value == Decimal("12.5")
    with pytest.raises(Mismatch) as raised:
        compare("labo", result("125.0", "g/dL"), parse_shown("HGB", "12,5 g/dL"))
    assert "le boîtier lit 125,0 g/dL, l'écran montre 12,5 g/dL : l'échelle est fausse" in raised.value.text()


@pytest.mark.parametrize("typed", ["12 5 g/dL", "1 250", "1,250.5 g/dL", "1.250.000", "12..5", "5,", "9" * 30])
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_what_can_be_read_in_two_ways_is_asked_again(typed: str, lang: str) -> None:
    language.choose(lang)
    with pytest.raises(c.NotPlain):
        parse_shown("HGB", typed)


@pytest.mark.parametrize("typed", ["", "  ", "a" * 200, "12.5\x1b[2J", "\x00"])
def test_nothing_is_no_answer(typed: str) -> None:
    with pytest.raises(c.NothingShown):
        parse_shown("HGB", typed)


@given(st.text(max_size=150), st.decimals(allow_nan=False, allow_infinity=False), st.sampled_from(["", "g/dL", "%"]))
def test_whatever_is_typed_is_refused_or_the_same_number(typed: str, value: Decimal, unit: str) -> None:
    with contextlib.suppress(JisrError):
        shown = parse_shown("HGB", typed)
        compare("labo", result(str(value), unit), shown)
        assert shown.value == value


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=3), st.integers(1, 6))
def test_never_the_same_across_a_power_of_ten(value: Decimal, power: int) -> None:
    if not value:
        return
    shown = Shown("x", value.scaleb(power), "", "g/dL")
    with pytest.raises(c.OtherScale):
        compare("labo", result(str(value), "g/dL"), shown)


def test_digits_stay_as_printed() -> None:
    assert number_text(Decimal("12.50")) == "12.50"
    language.choose("fr")
    assert number_text(Decimal("12.50")) == "12,50"


# -- units -----------------------------------------------------------------------------------------------------------

SPELT = {
    "x10^3/µL": "10*3/uL",
    "10³/mm³": "10*3/uL",
    "1E03/mm3": "10*3/uL",
    "10E6/ul": "10*6/uL",
    "K/uL": "10*3/uL",
    "G/l": "10*9/L",
    "uUI/ml": "uIU/mL",
    "u[IU]/mL": "uIU/mL",
    "mmol/l": "mmol/L",
    "mol": "mol",
    "U/l": "U/L",
    "102/mm)": "102/mm)",
}


@pytest.mark.parametrize("unit", SPELT)
def test_spellings(unit: str) -> None:
    assert spelt(unit) == SPELT[unit]


APART = [("g/dL", "g/L", 1), ("g/L", "g/dL", -1), ("mg/dL", "g/L", -2), ("%", "L/L", -2), ("mmol/L", "mg/dL", None)]


@pytest.mark.parametrize(("one", "other", "power"), APART)
def test_powers_between_units(one: str, other: str, power: int | None) -> None:
    assert apart(one, other) == power
    assert not is_same(one, other)


@pytest.mark.parametrize("unit", ["mL/min/1.73", "COI", "g/", "10*x/L", "copies/mL", "dd"])
def test_what_is_not_known_is_not_taken_apart(unit: str) -> None:
    assert scale_of(unit) is None


@given(st.text(max_size=20), st.text(max_size=20))
def test_units_are_total_and_symmetric(one: str, other: str) -> None:
    assert is_same(one, one)
    assert is_same(one, other) == is_same(other, one)


# -- which results are compared --------------------------------------------------------------------------------------


def seen(test: str, value: str | None = "1.5", unit: str = "g/dL", **more: Any) -> Result:
    return result(value, unit, test=test, **more)


def test_the_newest_specimen_another_unit_and_another_test_come_first() -> None:
    newest_first = [
        seen("HCT", unit="%"),
        seen("MCHC"),
        seen("RBC", unit="10*6/uL"),
        seen("HGB"),
        seen("PLT", unit="10*3/uL", specimen="older"),
    ]
    assert [one.test for one in chosen(newest_first)] == ["HGB", "RBC", "HCT"]
    assert [one.test for one in chosen(newest_first[-2:])] == ["PLT", "HGB"]


def test_one_test_may_be_compared_three_times_but_not_one_result() -> None:
    again = [seen("GLU", "5.4"), seen("GLU", "5.4"), seen("GLU", "6.1"), seen("GLU", "4.9")]
    assert [str(one.value) for one in chosen(again)] == ["4.9", "6.1", "5.4"]
    assert len(chosen(again[:2])) == 1


@pytest.mark.parametrize(
    ("one", "is_one"),
    [
        (seen("GLU"), True),
        (seen("HIV", None, answer="Positif"), True),
        (seen("GLU", "0.0"), False),
        (seen("GLU", status="cancelled"), False),
        (seen("GLU", None, text="----", reason="masked"), False),
        (seen("HIV", None, text=" "), False),
        (seen("GLU", reason="line_noise"), True),
    ],
)
def test_what_can_be_compared(one: Result, is_one: bool) -> None:  # noqa: FBT001
    assert is_comparable(one) is is_one
