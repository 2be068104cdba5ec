"""Records: delimiters, escapes, statuses, flags, comments, what each profile says, and what is never read."""

import pytest

from drivers import catalog
from drivers.astm.driver import AstmDriver
from drivers.astm.records import Delimiters
from drivers.astm.results import CACHE_ENTRIES
from drivers.observation import Device, Result, to_json
from drivers.profile import Profile
from tests.drivers.astm.wire import (
    ACK,
    END,
    ENQ,
    EOT,
    GLUCOSE,
    HEADER,
    ORDER,
    feed,
    frame,
    make,
    message,
    one_each,
    read,
    reasons,
    results_of,
    whole,
)

XP_HEADER = r"H|\^&|||XP-300^00-07^^^^A0001^AP000001||||||||E1394-97"
XP_ORDER = "O|1||^^       2026000113^B|^^^^WBC\\^^^^RBC|||||||N||||||||||||||F"
XP_WBC = "R|1|^^^^WBC^1|  7.2|10*3/uL||N||||OPERATOR       ||20260101080000"


def xp(*records: str) -> list[Result]:
    return read(XP_HEADER, "P|1", *records, END, profile="sysmex_xp")


@pytest.mark.parametrize("signs", ["|\\^&", "|`^&", "|@^\\", "!#$%", ";~:?", "|^\\&"])
def test_delimiters_come_from_the_header(signs: str) -> None:
    field, repeat, component, escape = tuple(signs)
    swap = str.maketrans({"|": field, "\\": repeat, "^": component, "&": escape})
    flags = GLUCOSE.replace("|N|", "|N\\A|").replace("mmol/L", "m&E&l").translate(swap)
    (result,) = read("H" + signs + HEADER[5:].translate(swap), ORDER.translate(swap), flags, END.translate(swap))
    assert (result.test, result.flags, result.specimen) == ("GLU", ("N", "A"), "S0001")
    assert result.vendor_unit == f"m{escape}l"


def test_a_header_without_an_escape_character() -> None:
    for header in ("H|\\^|||", "H|\\^"):
        assert Delimiters.from_header(header) == Delimiters("|", "\\", "^", "")
    (result,) = read("H|\\^|||X", ORDER, GLUCOSE.replace("mmol/L", "m&F&l"), END)
    assert result.vendor_unit == "m&F&l"


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ("a&F&b", "a|b"),
        ("a&S&b", "a^b"),
        ("a&R&b", "a\\b"),
        ("a&E&b", "a&b"),
        ("&F&&S&&R&&E&", "|^\\&"),
        ("a&Z0041&b", "a&Z0041&b"),
        ("a & b", "a & b"),
        ("a&F", "a&F"),
        ("&E&F&E&", "&F&"),
    ],
)
def test_escapes_are_read_once(sent: str, read_as: str) -> None:
    (result,) = read(HEADER, ORDER, GLUCOSE, f"C|1|I|{sent}|G", END)
    assert result.comments == (read_as,)


def test_an_escaped_separator_does_not_separate() -> None:
    (result,) = read(HEADER, "O|1|S&S&1&F&2^x||^^^GLU", GLUCOSE.replace("^^^GLU", "^^^G&S&LU"), END)
    assert (result.specimen, result.test) == ("S^1|2", "G^LU")


def test_an_escaped_value_is_read_and_kept_as_sent() -> None:
    (result,) = read(HEADER, ORDER, GLUCOSE.replace("5.5", "5&E&5"), END)
    assert (result.text, result.reason) == ("5&E&5", "not_numeric")


def test_empty_lines_between_records() -> None:
    assert read(HEADER, "", ORDER, "", "", GLUCOSE, END, "") == read(HEADER, ORDER, GLUCOSE, END)


def test_type_letters_in_lower_case() -> None:
    (result,) = read(*(record[0].lower() + record[1:] for record in (HEADER, "P|1", ORDER, GLUCOSE, "C|1|I|x", END)))
    assert (result.specimen, result.comments) == ("S0001", ("x",))


def test_a_comment_belongs_to_the_record_before_it() -> None:
    records = (HEADER, "C|1|I|h", "P|1", "C|1|I|p", ORDER, "C|1|I|o", GLUCOSE, "C|1|I|a", "C|2|I|b", "C|3|I|")
    outputs = feed(make(), [whole(*records, GLUCOSE.replace("GLU", "X"), "M|1|x", "C|1|I|m", END)])
    assert [result.comments for result in results_of(outputs)] == [("a", "b"), ()]
    assert reasons(outputs) == ["comment_not_on_result"] * 3 + ["manufacturer_record", "comment_not_on_result"]


def test_records_of_other_types_are_counted_by_their_letter() -> None:
    outputs = feed(make(), [whole(HEADER, ORDER, GLUCOSE, "M|1|x", "S|1", "Z", "9", "\xe9|", END)])
    assert [fault.detail for fault in outputs[0].faults] == ["", "S", "Z", "?", "?"]
    assert reasons(outputs) == ["manufacturer_record"] + ["unknown_record"] * 4


@pytest.mark.parametrize(
    ("letter", "status", "validity", "reason"),
    [
        ("F", "final", "valid", ""),
        ("f", "final", "valid", ""),
        ("V", "final", "valid", ""),
        ("R", "final", "valid", ""),
        ("Q", "final", "valid", ""),
        ("C", "corrected", "valid", ""),
        ("P", "preliminary", "valid", ""),
        ("S", "preliminary", "valid", ""),
        ("I", "preliminary", "ongoing", "pending"),
        ("X", "cancelled", "not_available", "cancelled"),
        ("W", "questionable", "questionable", "unreliable"),
        ("", "unknown", "valid", ""),
        ("M", "unknown", "questionable", "unknown_status"),
        ("N", "unknown", "questionable", "unknown_status"),
        ("9", "unknown", "questionable", "unknown_status"),
    ],
)
def test_status(letter: str, status: str, validity: str, reason: str) -> None:
    (result,) = read(HEADER, ORDER, GLUCOSE.replace("||F||", f"||{letter}||"), END)
    assert (result.status, result.validity, result.reason) == (status, validity, reason)
    assert result.vendor_status == letter
    assert (result.value is None) == (letter == "X")


@pytest.mark.parametrize(
    ("flag", "value", "validity", "reason"),
    [
        (">", "5.5", "overflow", "out_of_range_high"),
        ("<", "5.5", "underflow", "out_of_range_low"),
        (">", ">5.5", "valid", ""),
        ("H\\<", "5.5", "underflow", "out_of_range_low"),
        ("A", "5.5", "valid", ""),
        ("W", "5.5", "valid", ""),
    ],
)
def test_flags_of_the_standard(flag: str, value: str, validity: str, reason: str) -> None:
    (result,) = read(HEADER, ORDER, GLUCOSE.replace("|5.5|", f"|{value}|").replace("|N|", f"|{flag}|"), END)
    assert (str(result.value), result.validity, result.reason) == ("5.5", validity, reason)


def test_a_doubtful_status_stays_doubtful_under_a_flag() -> None:
    (result,) = read(HEADER, ORDER, GLUCOSE.replace("|N||F|", "|>||W|"), END)
    assert (result.validity, result.reason) == ("questionable", "unreliable")


@pytest.mark.parametrize(
    ("test", "code"), [("^^^GLU", "GLU"), ("GLU", "GLU"), ("^^^^GLU^1", "GLU"), ("^^^ GLU ", "GLU")]
)
def test_the_test_code(test: str, code: str) -> None:
    (result,) = read(HEADER, ORDER, GLUCOSE.replace("^^^GLU", test), END)
    assert result.vendor is not None
    assert (result.test, result.vendor.code, result.vendor.text) == (code, code, test)


@pytest.mark.parametrize("test", ["", "^^^", " ^ "])
def test_a_result_without_a_test_code_is_not_plainly_valid(test: str) -> None:
    (result,) = read(HEADER, ORDER, GLUCOSE.replace("^^^GLU", test), END)
    assert (result.test, result.validity, result.reason) == ("", "questionable", "no_test_code")


def test_many_combinations_do_not_fill_the_memory() -> None:
    driver = make()
    assert isinstance(driver, AstmDriver)
    for at in range(0, 2 * CACHE_ENTRIES, 512):
        feed(driver, [whole(HEADER, ORDER, *(f"R|1|^^^T{n}|5" for n in range(at, at + 512)), END)])
    feed(driver, [whole(HEADER, ORDER, "R|1|^^^" + "T" * 300 + "|5", END)])
    traits = driver._messages._results._traits
    assert len(traits) <= CACHE_ENTRIES
    assert all(len(test) < 300 for test, *_ in traits)


# Profiles.


def test_sysmex_xp() -> None:
    (result,) = xp(XP_ORDER, XP_WBC)
    assert (result.specimen, result.test, str(result.value), result.text) == ("2026000113", "WBC", "7.2", "  7.2")
    assert (result.unit, result.vendor_unit, result.completed) == ("10*3/uL", "10*3/uL", "20260101080000")
    assert (result.status, result.vendor_status, result.loinc) == ("final", "", "")
    assert "OPERATOR" not in to_json(result).decode()


def test_sysmex_xp_without_the_orders_report_type() -> None:
    (result,) = xp(XP_ORDER[:-1], XP_WBC)
    assert result.status == "unknown"
    (result,) = xp(XP_ORDER, XP_WBC.replace("|N||||", "|N||P||"))
    assert result.status == "preliminary"


@pytest.mark.parametrize(
    ("flag", "value", "validity", "reason", "has_value"),
    [
        ("W", "  7.2", "questionable", "unreliable", True),
        ("A", "  7.2", "not_available", "masked", False),
        ("A", "-----", "not_available", "masked", False),
        ("W", "*****", "not_available", "masked", False),
    ],
)
def test_sysmex_xp_never_final(flag: str, value: str, validity: str, reason: str, has_value: bool) -> None:
    (result,) = xp(XP_ORDER, XP_WBC.replace("|N|", f"|{flag}|").replace("  7.2", value))
    assert (result.validity, result.reason, result.value is not None) == (validity, reason, has_value)
    assert (result.status, result.text) == ("questionable", value)


def test_sysmex_xp_flags_do_not_revive_what_was_cancelled() -> None:
    for flag in "AW":
        (result,) = xp(XP_ORDER, XP_WBC.replace("|N||||", f"|{flag}||X||"))
        assert (result.status, result.value, result.reason) == ("cancelled", None, "cancelled")


def test_sysmex_xp_quality_control_by_its_sample_number() -> None:
    (result,) = xp(XP_ORDER.replace("  2026000113", "QC-26000113 "), XP_WBC)
    assert (result.purpose, result.specimen) == ("qc", "QC-26000113")


def test_sysmex_xp_tells_who_it_is() -> None:
    outputs = feed(make("sysmex_xp"), one_each(XP_HEADER, END))
    (device,) = [seen for output in outputs for seen in output.observations]
    assert device == Device(
        connection="connected",
        validity="valid",
        identity={"model": "XP-300", "software": "00-07", "serial": "A0001"},
    )


def test_erba_units_and_its_repeat() -> None:
    header = "H|`^&||||||||||P|E 1394-97|20260101080000"
    rows = ["R|1|^^^AAA|1.0|mg/dl|^DEFAULT|A`H|N|F", "R|2|^^^BBB|2|U/L", "R|3|^^^CCC|NA|g/dl|^DEFAULT|A|N|F"]
    first, second, third = read(header, "O|1|1000001||^^^AAA|||||||||||SERUM", *rows, END)
    assert (first.unit, first.flags, first.specimen_type, first.reference_range) == (
        "mg/dL",
        ("A", "H"),
        "SERUM",
        "^DEFAULT",
    )
    assert (second.unit, second.status) == ("U/L", "unknown")
    assert (third.unit, third.value, third.reason, third.status) == ("", None, "not_measured", "final")


def test_loinc_only_where_the_profile_has_it() -> None:
    assert not [metric for profile in catalog.profiles("astm").values() for metric in profile.metric if metric.extra]
    assert all(profile.protocol.bedside is profile.protocol.asks is False for profile in _profiles())


def _profiles() -> list[Profile]:
    return list(catalog.profiles("astm").values())


# What is never read, and never sent.


def test_the_patient_record_goes_nowhere() -> None:
    secret = "P|1||PID0007|LAB77|NAME^GIVEN||19800101|F|||STREET|DOCTOR"
    outputs = feed(make(), [whole(HEADER, secret, "C|1|I|NAME", ORDER, GLUCOSE, "Q|1|^PID0007", END)])
    told = "".join(to_json(seen).decode() for seen in outputs[0].observations) + repr(outputs[0].faults)
    assert len(results_of(outputs)) == 1
    for word in ("PID0007", "LAB77", "NAME", "GIVEN", "1980", "STREET", "DOCTOR", "OP1"):
        assert word not in told


def test_a_new_patient_ends_the_order_before_it() -> None:
    assert [result.specimen for result in read(HEADER, ORDER, "P|2", GLUCOSE, END)] == [""]


def test_a_host_query_is_acknowledged_and_not_answered() -> None:
    driver = make()
    outputs = feed(driver, one_each(HEADER, "Q|1|^S0001||ALL||||||||O", END))
    assert [output.send for output in outputs] == [ACK] * 4 + [b""]
    assert reasons(outputs) == ["host_query"]
    for now in range(2, 100, 5):
        assert driver.wake(float(now)).send == b""
    assert driver.stop(200.0).send == b""


def test_options_of_another_driver_are_refused() -> None:
    with pytest.raises(TypeError):
        AstmDriver(_profiles()[0], Device(connection="unknown", validity="valid"))


def test_records_may_be_split_anywhere() -> None:
    text = message(HEADER, "P|1", ORDER, GLUCOSE, "C|1|I|x|G", END)
    expected = read(HEADER, "P|1", ORDER, GLUCOSE, "C|1|I|x|G", END)
    for cut in range(1, len(text)):
        pieces = [ENQ, frame(1, text[:cut], b"\x17"), frame(2, text[cut:]), EOT]
        assert results_of(feed(make(), pieces)) == expected
