"""A laboratory's own profile: `generic` with options; what cannot be right is refused with a sentence."""

from typing import Any

import msgspec
import pytest

from drivers import catalog
from tests.drivers.astm.wire import END, read

ADVIA = {
    "identity": {"model": 1, "serial": 3},
    "senders": ["AX"],
    "specimen_field": 4,
    "specimen_component": 2,
    "qc_specimen_prefix": "CTRL",
    "test_components": [4, 5],
    "decimal_comma": True,
    "masked_flags": ["*"],
    "units": {"g/100mL": "g/dL"},
    "test_units": {"TP^S": "%"},
    "loinc": {"ALB^S": "1751-7"},
    "encoding": "cp850",
}
"""An analyzer that is nobody's, with most of the knobs turned."""


def test_a_laboratory_writes_its_own() -> None:
    albumin, ratio, masked = read(
        "H|\\^&|||AX-7^2.0^S1",
        "O|1||7^S0001^x",
        "R|1|^^^ALB^S|<4,25|g/100mL|3,5^5,0|L||F|||20260101075500|20260101075800",
        "R|2|^^^TP^S|61||||F||",
        "R|3|^^^GLU^S|5,5|mmol/L||*||F",
        END,
        profile="generic",
        options=ADVIA,
    )
    assert (albumin.specimen, albumin.test, str(albumin.value), albumin.comparator) == ("S0001", "ALB^S", "4.25", "<")
    assert (albumin.unit, albumin.loinc, albumin.status) == ("g/dL", "1751-7", "final")
    assert (ratio.unit, ratio.vendor_unit, ratio.loinc) == ("%", "", "")
    assert (masked.value, masked.reason, masked.status) == (None, "masked", "questionable")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"test_components": []}, "test_components is empty: name at least one component of R-3"),
        ({"test_part": 2}, "test_part is 2 without a test_separator"),
        ({"qc_component": 65}, "qc_component is 65: a component of O-4 from 1 to 64, or 0 for none"),
        ({"qc_component": -1}, "qc_component is -1"),
        ({"run_component": 65}, "run_component is 65: a component of O-4 from 1 to 64, or 0 for none"),
        ({"lot_component": 65}, "lot_component is 65: a component of R-14 from 1 to 64, or 0 for none"),
        ({"answers": ["Positif", "+"]}, "answers: '+' is no pattern"),
        ({"answers": [" "]}, "answers: ' ': write each word apart"),
        ({"words": {"Néant": "nothing"}}, "words"),
        ({"masked_flags": ["A", "W"], "unreliable_flags": ["W"]}, "W stands in masked_flags and in unreliable_flags"),
        ({"units": {"g/l": "g / L"}}, "'g / L', the unit for 'g/l', is not UCUM"),
        ({"units": {"x": ""}}, "'', the unit for 'x', is not UCUM"),
        ({"test_units": {"WBC": "10³/µL"}}, "the unit for 'WBC', is not UCUM: write it without blanks, as 10*3/uL"),
        ({"loinc": {"RBC": "789-9"}}, "'789-9', the LOINC code for 'RBC', has a wrong form or check digit"),
        ({"loinc": {"RBC": "Hb"}}, "has a wrong form or check digit: look it up again"),
        ({"unread_specimen": "@ "}, "unread_specimen begins or ends with a blank"),
        ({"specimen_field": 0}, "specimen_field"),
        ({"specimen_field": "3rd"}, "specimen_field"),
        ({"encoding": "ebcdic"}, "encoding"),
        ({"value": "number"}, "value"),
        ({"decimal": True}, "decimal"),
        ({"identity": {"maker": 1}}, "identity"),
    ],
)
def test_bad_options_are_refused_with_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        catalog.create(catalog.profile("astm", "generic"), options)
    assert sentence in str(refused.value)


def test_every_profiles_own_options_are_right() -> None:
    for profile in catalog.profiles("astm").values():
        catalog.create(profile)
