"""What each profile makes of its device's own words: specimen, test, value, unit, flags, sender; what is private."""

import re
from decimal import Decimal
from typing import Any

import pytest

from drivers import catalog
from drivers.observation import Device, Result, to_json
from drivers.profile import Profile
from tests.contract.cases import cases_of, wires
from tests.contract.play import walk
from tests.drivers.astm.wire import (
    END,
    ENQ,
    EOT,
    HEADER,
    feed,
    frame,
    make,
    message,
    read,
    reasons,
    results_of,
    whole,
)

PROFILES = catalog.profiles("astm")
SENDERS = {
    "sysmex_xp": "XP-300^00-07",
    "sysmex_xn_l": "    XN-550^00-24",
    "horiba_pentra": "ABX",
    "horiba_yumizen": "H500^1^2",
    "genexpert": "LAB^GeneXpert^4.8",
    "cobas_c111": "any^Roche^c111^4.2",
    "cobas_c311": "c311^1",
    "cobas_e411": "cobas-e411^1",
}
"""H-5 of those that name themselves."""


def rows(
    profile: str, order: str, *results: str, header: str = "", options: dict[str, Any] | None = None
) -> list[Result]:
    sender = SENDERS.get(profile, "")
    head = header or f"H|\\^&|||{sender}|||||||P|1|20260101080000"
    return read(head, "P|1||PID0007|NAME", order, *results, END, profile=profile, options=options)


def row(profile: str, order: str, result: str, **more: Any) -> Result:
    (found,) = rows(profile, order, result, **more)
    return found


def test_the_profiles() -> None:
    tiers = {name: profile.tier for name, profile in PROFILES.items()}
    assert tiers == {
        "cobas_c111": "bench",
        "cobas_c311": "bench",
        "cobas_e411": "sketch",
        "erba_xl": "captured",
        "generic": "bench",
        "genexpert": "bench",
        "horiba_pentra": "bench",
        "horiba_yumizen": "bench",
        "sysmex_xn_l": "bench",
        "sysmex_xp": "bench",
        "vitros": "sketch",
    }
    assert all(cases_of(profile) for profile in PROFILES.values())


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_a_signature_is_met_by_its_own_device_alone(profile: Profile) -> None:
    signature = profile.identification.passive or profile.protocol.identification.passive
    for other in PROFILES.values():
        for case in cases_of(other):
            wire = b"".join(step.data for step in case.received())
            met = re.search(signature.encode("latin-1"), wire)
            is_own = other == profile and case.folder.name != "wrong_device"
            is_own |= (profile.name, case.folder.name) in {
                ("sysmex_xp", "wrong_device"),
                ("generic", case.folder.name),  # the protocol's own: it is the first header that follows an ENQ
            }
            if profile.name != "erba_xl" or case.folder.name == "erba_one_frame":
                assert bool(met) == is_own, case.folder.name


def test_the_protocols_signature() -> None:
    shared = re.compile(PROFILES["generic"].protocol.identification.passive.encode("latin-1"))
    assert all(shared.search(wire) for wire in (ENQ + EOT, ENQ + ENQ, whole(HEADER, END), whole("H|`^&|", END)))


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_nobody_is_named(profile: Profile) -> None:
    """Patient, physician, operator, and what was typed into notes: in no observation and in no fault."""
    people = (
        "PID",
        "NAME",
        "GIVEN",
        "DR.",
        "1950",
        "OP1",
        "OPERATOR",
        "DOE",
        "CHCC",
        "LABOR",
        "USER",
        "NNEMT",
        "SYS$",
    )
    for case in cases_of(profile):
        said = walk(catalog.create(case.profile), case.received())
        told = "".join(to_json(seen).decode() for seen in said.observations) + repr(said.faults)
        assert not [word for word in people if word in told], case.folder.name


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda p: p.name)
def test_loinc_is_the_sites_alone(profile: Profile) -> None:
    for wire in wires(profile):
        found = results_of(feed(make(profile.name), [wire]))
        assert found
        assert not any(seen.loinc for seen in found)
    codes = {"WBC": "6690-2"}
    results = rows(profile.name, "O|1|S1", "R|1|^^^WBC^804-5|7|", options={"loinc": codes, "test_components": [4]})
    assert [seen.loinc for seen in results] == ["6690-2"]


# Who speaks.


@pytest.mark.parametrize("profile", SENDERS)
def test_another_device_is_not_believed(profile: str) -> None:
    other = "OTHER^OTHER^OTHER^1"
    outputs = feed(make(profile), [whole(f"H|\\^&|||{other}", "O|1|S1", "R|1|^^^WBC^1^1|7|g/dL||N||F", END)])
    (device,) = [seen for seen in outputs[0].observations if isinstance(seen, Device)]
    (result,) = results_of(outputs)
    assert (device.reason, reasons(outputs)) == ("wrong_device", ["wrong_device"])
    assert (result.value, result.validity, result.reason) == (None, "not_available", "wrong_device")
    assert (result.status, result.metric, result.unit, result.text) == ("questionable", "", "", "7")


@pytest.mark.parametrize("profile", SENDERS)
def test_a_device_that_does_not_name_itself_is_not_another_one(profile: str) -> None:
    assert row(profile, "O|1|S1", "R|1|^^^T|7|||||F", header="H|\\^&").reason != "wrong_device"


def test_a_site_may_name_the_sender_itself() -> None:
    head = "H|\\^&|||XQ-1^1"
    order, result = "O|1||^^ 7^M", "R|1|^^^^WBC^1|7|10*3/uL||N||F"
    assert row("sysmex_xp", order, result, header=head).reason == "wrong_device"
    assert row("sysmex_xp", order, result, header=head, options={"senders": ["XQ-"]}).value == 7


def test_reagent_lots_are_told_when_they_change() -> None:
    head = "H|\\^&|||H500^910^2.2|||||||P|LIS2-A2|20260329110749"
    lots = "M|1|REAGENT|CLEANER\\DILUENT|A1*^20260317^20260617\\B2^20260322^20260729"
    driver = make("horiba_yumizen")
    sessions = [lots, lots, lots.replace("B2", "B3"), "M|1|HISTOGRAM|RBC|x|y", "M|1|REAGENT|A\\B|1"]
    told = []
    for session in sessions:
        outputs = feed(driver, [whole(head, session, END)])
        told += [seen.identity for seen in outputs[0].observations if isinstance(seen, Device)]
    named = {"model": "H500", "serial": "910", "software": "2.2"}
    first = {**named, "lot CLEANER": "A1*", "lot DILUENT": "B2"}
    assert told == [named, first, {**first, "lot DILUENT": "B3"}]


def test_more_lots_than_a_device_has_are_not_read() -> None:
    names, lots = "\\".join(f"R{n}" for n in range(99)), "\\".join(f"L{n}" for n in range(99))
    outputs = feed(make("horiba_yumizen"), [whole("H|\\^&|||H500^1^2", f"M|1|REAGENT|{names}|{lots}", END)])
    assert reasons(outputs) == ["manufacturer_record"]


# Whose specimen.


@pytest.mark.parametrize(
    ("profile", "order", "specimen"),
    [
        ("generic", "O|1|S0001^x", "S0001"),
        ("sysmex_xp", "O|1||^^            113^A", "113"),
        ("sysmex_xn_l", "O|1||^^                    27^M", "27"),
        ("horiba_pentra", "O|1|17033680|761|^^^DIF", "17033680"),
        ("horiba_yumizen", "O|1|PX440N||^^^DIF", "PX440N"),
        ("horiba_yumizen", "O|1|2600^^038749^1||^^^DIF", "2600"),
        ("genexpert", "O|1|PR25A137||^^^MTB-RIF", "PR25A137"),
        ("cobas_c111", "O|1||T20-10143GA D07^^2||R", "T20-10143GA D07"),
        ("cobas_c311", "O|1|11625^CL-PL-24-0370         ^1^^004|R1", "CL-PL-24-0370"),
        ("cobas_c311", "O|1|                123456|0^50005^005^^S1^SC", "123456"),
        ("cobas_c311", "O|1|11625^                      ^1^^004|R1", ""),
        ("cobas_e411", "O|1|601|4^0^4^^S1^SC", "601"),
        ("vitros", "O|1|546 Y^3^5||", "546 Y"),
    ],
)
def test_specimens_as_sent(profile: str, order: str, specimen: str) -> None:
    found = row(profile, order, "R|1|^^^^T|7|||||F")
    assert (found.specimen, found.purpose) == (specimen, "patient")


@pytest.mark.parametrize(
    ("profile", "order"),
    [
        ("cobas_e411", "O|1|@3|3^0007^2^^S1^SC"),
        ("cobas_c311", "O|1|11625^@4         ^1^^004|R1"),
        ("horiba_pentra", "O|1|AUTO_SID1^00^00||^^^DIF"),
    ],
)
def test_a_barcode_that_was_not_read_names_nobody(profile: str, order: str) -> None:
    found = row(profile, order, "R|1|^^^10^|7|||||F")
    assert (found.value, found.reason) == (Decimal(7), "specimen_unread")
    assert (found.validity, found.status) == ("questionable", "questionable")
    absent = row(profile, order, "R|1|^^^10^||||||F")
    assert (absent.value, absent.reason, absent.status) == (None, "not_measured", "questionable")
    cancelled = row(profile, order, "R|1|^^^10^|7|||||X")
    assert (cancelled.value, cancelled.reason, cancelled.status) == (None, "cancelled", "cancelled")


@pytest.mark.parametrize(
    ("profile", "order", "header"),
    [
        ("generic", "O|1|S1|||||||||Q", ""),
        ("generic", "O|1|S1|||||||||X\\Q", ""),
        ("sysmex_xn_l", "O|1||^^     QC-26001^M", ""),
        ("cobas_c311", "O|1|47-CR26|3070^30098^098^^QC^SC", ""),
        ("cobas_e411", "O|1|PC 1|3^0^1^^QC^SC", ""),
        ("cobas_c111", "O|1||QC001^^||||||||Q", ""),
        ("horiba_yumizen", "O|1|PX449L", "H|\\^&|||H550^1^2|||||||Q|LIS2-A2"),
    ],
)
def test_controls_are_kept_apart(profile: str, order: str, header: str) -> None:
    assert row(profile, order, "R|1|^^^T|7|||||F", header=header).purpose == "qc"


# Which test, which value, which unit.


@pytest.mark.parametrize(
    ("profile", "test", "code"),
    [
        ("generic", "^^^GLU", "GLU"),
        ("sysmex_xn_l", "^^^^LYMPH#^1", "LYMPH#"),
        ("horiba_pentra", "^^^RBC^789-9^1", "RBC"),
        ("horiba_yumizen", "^^^MCV^787-2", "MCV"),
        ("genexpert", "^MTB-RIF^^Xpert^Xpert MTB-RIF Ultra^4^MTB^", "MTB-RIF^Xpert^MTB"),
        ("genexpert", "^MTB-RIF^^Trace^^^rpoB1^Ct", "MTB-RIF^Trace^rpoB1^Ct"),
        ("cobas_c111", "^^^550", "550"),
        ("cobas_c311", "^^^685/", "685"),
        ("cobas_c311", "^^^12/1/not", "12"),
        ("cobas_e411", "^^^10^1", "10"),
        ("cobas_e411", "^^^10/1/not", "10"),
        ("vitros", "^^^1.0000+950+1.0", "950"),
        ("vitros", "^^^950", "950"),
    ],
)
def test_the_makers_code(profile: str, test: str, code: str) -> None:
    found = row(profile, "O|1|S1", f"R|1|{test}|7|||||F")
    assert found.vendor is not None
    assert (found.test, found.vendor.code, found.vendor.text) == (code, code, test)


@pytest.mark.parametrize(
    ("profile", "value", "number", "reason"),
    [
        ("genexpert", "INVALID^", None, "invalid"),
        ("genexpert", "ERROR^", None, "invalid"),
        ("genexpert", "NO RESULT^", None, "no_result"),
        ("genexpert", "INVALID^12", None, "invalid"),
        ("genexpert", "^", None, "not_measured"),
        ("genexpert", "", None, "not_measured"),
        ("genexpert", "^24.7", "24.7", ""),
        ("genexpert", "DETECTED^1520", "1520", ""),
        ("genexpert", "12^", None, "not_numeric"),
        ("genexpert", "A^B^3", None, "not_numeric"),
        ("cobas_e411", "1.85   ^", "1.85", ""),
        ("cobas_e411", "1.85", "1.85", ""),
        ("cobas_e411", "<0.005^", "0.005", ""),
        ("cobas_e411", "       ^", None, "not_measured"),
        ("cobas_e411", "-1^0.123", None, "two_part"),
        ("cobas_e411", "12.3^31", None, "two_part"),
        ("cobas_e411", "1^2^3", None, "not_numeric"),
        ("sysmex_xn_l", "PNG&R&20260101&R&WBC.PNG", None, "image_name"),
        ("sysmex_xn_l", "++++", None, "not_numeric"),
        ("horiba_yumizen", "5^6", None, "not_numeric"),
    ],
)
def test_values_of_two_parts_and_images(profile: str, value: str, number: str | None, reason: str) -> None:
    found = row(profile, "O|1||^^7^M", f"R|1|^^^X^WBC|{value}|||N||F")
    assert (None if found.value is None else str(found.value), found.reason, found.text) == (number, reason, value)


def test_a_flag_on_something_with_a_unit_withholds_it() -> None:
    found = row("sysmex_xn_l", "O|1||^^7^M", "R|1|^^^^RET%^1|1.40|%||A||F")
    assert (found.value, found.reason, found.status) == (None, "masked", "questionable")


def test_details_without_a_status_are_no_results() -> None:
    order, main = "O|1|S1", "R|1|^P^^A^T^4^MTB^|DETECTED^|||||F|||20260101|20260102"
    detail = "R|2|^P^^A^^^rpoB1^Ct|^24.7"
    result, found, second = rows("genexpert", order, main, detail, detail.replace("Ct", "EndPt"))
    assert (result.status, result.completed) == ("final", "20260102")
    for one in (found, second):
        assert (one.value, one.validity, one.reason, one.status) == (None, "not_available", "not_a_result", "unknown")
        assert (one.text, one.completed, one.device_time) == ("^24.7", "", "20260102"), "the time of the result above"


def test_details_of_another_specimen_have_not_the_time_of_the_result_before_it() -> None:
    main, detail = "R|1|^P^^A^T^4^MTB^|DETECTED^|||||F|||20260101|20260102", "R|1|^P^^A^^^rpoB1^Ct|^24.7"
    *_, found = rows("genexpert", "O|1|S1", main, "O|2|S2", detail)
    assert (found.specimen, found.device_time) == ("S2", "20260101080000")


@pytest.mark.parametrize(
    ("test", "value", "flags", "reason", "status"),
    [
        ("Positive_Diff", "", "A", "message", "final"),
        ("Left_Shift?", "0", "", "message", "final"),
        ("Fragments?", "300", "A", "message", "final"),
        ("Left_Shift?", "0", "", "cancelled", "cancelled"),
        ("NEUT#", "----", "A", "masked", "questionable"),
        ("NEUT#", "4.67", "A", "masked", "questionable"),
        ("NEW#", "4.67", "W", "unreliable", "questionable"),
        ("NEW#", "4.67", "N", "", "final"),
    ],
)
def test_sysmex_messages_are_no_measurements(test: str, value: str, flags: str, reason: str, status: str) -> None:
    letter = "X" if reason == "cancelled" else "F"
    found = row("sysmex_xn_l", "O|1||^^7^M", f"R|1|^^^^{test}|{value}|||{flags}||{letter}")
    assert (found.reason, found.status, found.text) == (reason, status, value)
    assert (found.value is None) == (reason not in ("", "unreliable"))


@pytest.mark.parametrize(
    ("profile", "sent", "ucum"),
    [
        ("horiba_pentra", "10)/mm)", "10*3/uL"),
        ("horiba_pentra", "5m)", "fL"),
        ("horiba_pentra", "102/mm)", ""),
        ("horiba_yumizen", "10E3/uL", "10*3/uL"),
        ("horiba_yumizen", "1E06/mm3", "10*6/uL"),
        ("horiba_yumizen", "um3", "fL"),
        ("sysmex_xn_l", "10*3/uL", "10*3/uL"),
        ("cobas_c311", "umol/l", "umol/L"),
        ("cobas_c111", "U/L", "U/L"),
        ("vitros", "g/L", ""),
    ],
)
def test_units(profile: str, sent: str, ucum: str) -> None:
    found = row(profile, "O|1|S1", f"R|1|^^^^T|7|{sent}||||F")
    assert (found.unit, found.vendor_unit, found.value) == (ucum, sent, Decimal(7))


def test_units_that_a_line_of_7_bits_has_damaged_are_known_where_the_site_says_so() -> None:
    cut = bytes(byte & 0x7F for byte in "10³/mm³ µm³".encode("latin-1")).decode()
    assert cut == "103/mm3 5m3", "so a superscript is lost in ISO 8859-1"
    for unit, ucum in (("103/mm3", "10*3/uL"), ("10)/mm)", "10*3/uL"), ("C)/L", "")):
        options = {"units": {"103/mm3": "10*3/uL", "10)/mm)": "10*3/uL"}}
        found = row("generic", "O|1|S1", f"R|1|^^^WBC|7.2|{unit}||||F", options=options)
        assert (found.unit, found.vendor_unit, found.validity) == (ucum, unit, "valid")


def test_what_is_no_unit_gives_no_value_until_the_site_says_which() -> None:
    order, result = "O|1|S1", "R|1|^^^WBC^804-5^1|8.5|1||||F"
    found = row("horiba_pentra", order, result)
    assert (found.value, found.reason, found.text, found.vendor_unit) == (None, "unit_unknown", "8.5", "1")
    told = row("horiba_pentra", order, result, options={"test_units": {"WBC": "10*3/uL"}})
    assert (str(told.value), told.unit, told.vendor_unit, told.status) == ("8.5", "10*3/uL", "1", "final")
    other = row("horiba_pentra", order, result.replace("|1||", "|g/dl||"), options={"test_units": {"WBC": "10*3/uL"}})
    assert other.unit == "g/dL", "a unit that the device sends counts"


@pytest.mark.parametrize(
    ("flags", "reason"),
    [("", ""), ("^0^", ""), ("^0^\\^0^", ""), ("^5^", "unknown_flag"), ("^0^FRMN\\^0^NR", "unknown_flag")],
)
def test_vitros_flags_that_nobody_explains_are_doubted(flags: str, reason: str) -> None:
    found = row("vitros", "O|1|S1", f"R|1|^^^1.0+301+1.0|89|g/L||{flags}||V")
    assert (found.reason, found.value, found.status) == (reason, Decimal(89), "questionable" if reason else "final")


def test_vitros_replicates_are_all_published() -> None:
    result = "R|1|^^^1.0+301+1.0|89|g/L||^0^||V|||20260109204227|20260109204810"
    found = rows("vitros", "O|1|S1", result, result)
    assert len({seen.identity for seen in found}) == len(found) == 2


def test_cobas_times_are_those_of_the_order_where_the_result_has_none() -> None:
    found = row("cobas_c311", "O|1|S1" + "|" * 20 + "20260203132011", "R|1|^^^685/|22.4")
    assert (found.device_time, found.completed, found.started) == ("20260203132011", "", "")


# Comments.


def test_comments_that_people_type_are_not_published() -> None:
    outputs = feed(
        make("genexpert"),
        [
            whole(
                "H|@^\\|||x^GeneXpert^4",
                "O|1|S1",
                "R|1|^P^^A^T|DETECTED^|||||F",
                "C|1|I|Notes^^Id 118176 NAME|I",
                "C|2|I|Error^5007^Probe check|I",
                "C|3|L|FROM THE HOST|G",
                "C|4|P|FROM THE WARD|G",
                END,
            )
        ],
    )
    (found,) = results_of(outputs)
    assert (found.comments, reasons(outputs)) == (("Error^5007^Probe check",), ["comment_of_a_person"] * 3)


def test_flags_of_a_specimen_concern_all_of_its_results() -> None:
    order, flag, remark = "O|1|S1", "C|1|I|NON_COMPLIANT_DATA^WBC^NOISE|I", "C|2|I|NAME|G"
    result, own = "R|1|^^^WBC|7", "C|1|I|own|I"
    one, two, three = rows("horiba_yumizen", order, flag, remark, result, own, result, "O|2|S2", result)
    flagged = "NON_COMPLIANT_DATA^WBC^NOISE"
    assert (one.comments, two.comments, three.comments) == ((flagged, "own"), (flagged,), ())
    (other,) = rows("cobas_c311", order, flag, result)
    assert other.comments == (), "there the comment on the order is about a patient"


def test_a_manufacturer_record_of_27_kb_is_not_decoded() -> None:
    head, histogram = "H|\\^&|||H500^1^2", "M|1|HISTOGRAM|RBC/PLT|x|FLOATLE-stream/deflate:base64^" + "A1b+/=" * 4500
    text = message(head, "O|1|S1", histogram, "R|1|^^^WBC|7|10E3/uL||N||F", END).encode()
    cuts = range(0, len(text), 240)
    frames = [frame(n, text[at : at + 240], b"\x17" if at < cuts[-1] else b"\x03") for n, at in enumerate(cuts, 1)]
    outputs = feed(make("horiba_yumizen"), [ENQ, *frames, EOT])
    assert ([seen.value for seen in results_of(outputs)], reasons(outputs)) == ([Decimal(7)], ["manufacturer_record"])
