"""The code table: as its source has it, and without the errors that other tables carry."""

import csv
import re
from pathlib import Path

import pytest

from drivers.nomenclature import terms
from tools import nomenclature_toml

TABLE = Path(__file__).parents[2] / ".." / "shared" / "nomenclature.csv"
needs_table = pytest.mark.skipif(not TABLE.exists(), reason="the code table does not lie beside this checkout")
PARTITIONS = {1, 2, 3, 128, 258}
"""Attributes, metrics, events, disease management; 258 holds settings."""


def codes_of(ref: str) -> set[int]:
    return {term.code for term in terms().values() if term.mdc == ref}


def refs_of(code: int) -> set[str]:
    return {term.mdc for term in terms().values() if term.code == code}


@needs_table
def test_generated_from_the_table() -> None:
    with TABLE.open(encoding="utf-8", newline="") as table:
        rendered = nomenclature_toml.render(csv.DictReader(table))
    assert rendered == nomenclature_toml.TARGET.read_text(encoding="utf-8")


def test_keys_and_labels() -> None:
    assert len(terms()) > 400
    for name, term in terms().items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name
        assert term.en, name
        assert term.fr, name


def test_a_code_names_its_source_and_its_reference_id() -> None:
    for name, term in terms().items():
        assert bool(term.mdc) == bool(term.code), name
        assert not term.code or term.source, name
        assert not term.loinc or term.loinc_source or term.source, name
        assert term.low is None or term.high is None or term.low < term.high, name


def test_one_code_one_reference_id() -> None:
    for term in terms().values():
        if term.code:
            assert refs_of(term.code) == {term.mdc}
            assert codes_of(term.mdc) == {term.code}


def test_partitions_and_no_vendor_private_code() -> None:
    for name, term in terms().items():
        if not term.code:
            continue
        partition, number = divmod(term.code, 65536)
        assert partition in PARTITIONS, name
        assert number < 0xF000, f"{name}: vendor-private, never published as MDC"
        assert (partition == 258) <= (term.kind == "setting"), name


def test_settings_are_the_measured_code_in_their_own_partition() -> None:
    by_ref = {term.mdc: term.code for term in terms().values() if term.mdc}
    for ref, code in by_ref.items():
        base = by_ref.get(ref.removesuffix("_SETTING"))
        if ref.endswith("_SETTING") and base:
            assert code == base + 2**24, ref


@pytest.mark.parametrize(
    ("ref", "wrong"),
    [
        ("MDC_PRESS_BLD_NONINV_SYS", 150020),  # one scanner's table, wrong in many rows
        ("MDC_TEMP", 188740),
        ("MDC_PRESS_AWAY_END_EXP_POS", 151976),  # that is VENT_PRESS_AWAY_END_EXP_POS
        ("MDC_CONC_AWAY_ENFL_INSP", 2110),  # a misprint of 21100
        ("MDC_PRESS_AWAY_MEAN", 21396),  # from a sleep-apnoea draft
        ("MDC_ECG_LEAD_I", 131329),  # that is the waveform, ELEC_POTL_I
        ("MDC_ECG_AMPL_ST_V", 131907),  # a vendor's private number
        ("MDC_PRESS_BLD_ART_FEMORAL", 192701),
    ],
)
def test_traps(ref: str, wrong: int) -> None:
    assert wrong not in codes_of(ref)


@pytest.mark.parametrize(
    ("code", "ref"),
    [
        (151795, "MDC_PRESS_AWAY_MEAN"),
        (151976, "MDC_VENT_PRESS_AWAY_END_EXP_POS"),
        (131329, "MDC_ECG_ELEC_POTL_I"),
        (188420, "MDC_TEMP_RECT"),
        (150456, "MDC_PULS_OXIM_SAT_O2"),
    ],
)
def test_what_is_right(code: int, ref: str) -> None:
    assert refs_of(code) <= {ref}


def test_end_tidal_co2_by_its_unit() -> None:
    percent = {term.ucum for term in terms().values() if term.code == 151708}
    pressure = {term.ucum for term in terms().values() if term.code == 151728}
    assert percent <= {"%", "%{vol}"}
    assert "%" not in pressure


@pytest.mark.parametrize("loinc", ["11555-0", "11558-4"])
def test_these_are_not_arterial(loinc: str) -> None:
    for term in terms().values():
        if term.loinc == loinc:
            assert "arterial" not in term.en.lower()


def test_the_generator_leaves_an_unconfirmed_reference_id_out() -> None:
    row = dict.fromkeys((column for _key, column in nomenclature_toml.COLUMNS), "")
    row |= {"name": "x", "kind": "numeric", "mdc_ref_id": "MDC_X", "label_en": 'a "b"', "label_fr": "c\\d"}
    row |= {"source": "a page (stored file id 12345)"}
    text = nomenclature_toml.render([row])
    assert "MDC_X" not in text
    assert 'en = "a \\"b\\""' in text
    assert 'fr = "c\\\\d"' in text
    assert "12345" not in text
