"""OBX segments in, results out: numbers, what is none, statuses, flags, units, controls, notes."""

from decimal import Decimal

import msgspec
import pytest

from tests.drivers.hl7_lab.made import feed, make, msh, obx, one, oru, read, reasons, results_of, wire


@pytest.mark.parametrize(
    ("kind", "value", "number", "comparator"),
    [
        ("NM", "5.5", "5.5", ""),
        ("NM", "97.0", "97.0", ""),
        ("NM", "0", "0", ""),
        ("NM", " 5.5 ", "5.5", ""),
        ("NM", "-2.3", "-2.3", ""),
        ("NM", "1.2E3", "1.2E+3", ""),
        ("ST", "7.40", "7.40", ""),
        ("ST", "< 0.5", "0.5", "<"),
        ("ST", ">1000", "1000", ">"),
        ("TX", "12", "12", ""),
        ("SN", "^5.0", "5.0", ""),
        ("SN", "=^5.0", "5.0", ""),
        ("SN", "<^5.0", "5.0", "<"),
        ("SN", ">=^10^^", "10", ">="),
        ("nm", "5.5", "5.5", ""),
    ],
)
def test_numbers_keep_their_digits(kind: str, value: str, number: str, comparator: str) -> None:
    seen = one(obx("GLU", value, kind=kind))
    assert (str(seen.value), seen.comparator, seen.text, seen.validity) == (number, comparator, value, "valid")


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("NM", "", "not_measured"),
        ("NM", '""', "not_measured"),
        ("NM", "NA", "not_measured"),
        ("NM", "----", "not_measured"),
        ("NM", "**.*", "masked"),
        ("NM", "*7.2", "masked"),
        ("NM", "7,2", "not_numeric"),
        ("NM", "7.2~7.3", "not_numeric"),
        ("NM", "NaN", "not_numeric"),
        ("NM", "7.2^mmol/L", "not_numeric"),
        ("ST", "INVALID", "invalid"),
        ("ST", "NO RESULT", "no_result"),
        ("TX", "Positif", "not_numeric"),
        ("NM", "Positif", "not_numeric"),
        ("ST", "7,2", "not_numeric"),
        ("ST", "> 5 mg", "not_numeric"),
        ("ST", "Positif^1", "not_numeric"),
        ("ST", "Positif~Traces", "not_numeric"),
        ("ST", "ERROR 12", "invalid"),
        ("ST", "N" * 257, "not_numeric"),
        ("IS", "M", "not_numeric"),
        ("SN", "^1^:^128", "not_numeric"),
        ("SN", "^1^-^2", "not_numeric"),
        ("SN", "~^5", "not_numeric"),
        ("SN", "<>^5", "not_numeric"),
        ("SN", "<^<5", "not_numeric"),
        ("SN", "<", "not_measured"),
        ("SN", "", "not_measured"),
        ("CE", "1", "not_numeric"),
        ("DT", "20260105", "not_numeric"),
        ("N1", "5.5", "unknown_type"),
        ("", "5.5", "unknown_type"),
        ("NA", "1^2^3", "unknown_type"),
    ],
)
def test_what_is_no_number_has_none(kind: str, value: str, reason: str) -> None:
    seen = one(obx("GLU", value, kind=kind))
    assert (seen.value, seen.validity, seen.reason, seen.text) == (None, "not_available", reason, value)
    assert (seen.status == "questionable") == (reason == "masked")


@pytest.mark.parametrize(
    ("kind", "value", "answer", "reason"),
    [
        ("ST", " Positif ", "Positif", ""),
        ("ST", "N\\F\\A", "N|A", ""),
        ("CWE", "1^A pos^L", "A pos", ""),
        ("CE", "POS^^L", "POS", ""),
        ("CE", "POS", "POS", ""),
        ("ST", "NC)gatif", "NC)gatif", "unknown_answer"),
        ("ST", "N\ufffdgatif", "N\ufffdgatif", "unknown_answer"),
    ],
)
def test_words_are_the_result_where_their_type_says_so(kind: str, value: str, answer: str, reason: str) -> None:
    seen = one(obx("GLU", value, kind=kind, unit=""))
    assert (seen.value, seen.answer, seen.text, seen.reason) == (None, answer, value, reason)
    assert (seen.validity, seen.status) == (("questionable",) * 2 if reason else ("valid", "final"))
    assert one(obx("GLU", value, kind=kind), answer_types=[]).reason == "not_numeric"


def test_a_laboratory_names_the_words_of_its_analyzer() -> None:
    words = ["Positif", "[1-4]\\+"]
    for word, reason in {"POSITIF": "", "2+": "", "Douteux": "unknown_answer"}.items():
        seen = one(obx("GLU", word, kind="ST"), answers=words)
        assert (seen.answer, seen.reason) == (word, reason)
    assert one(obx("GLU", "5+", kind="ST"), answers=words).reason == "not_numeric"
    with pytest.raises(msgspec.ValidationError, match="is no pattern"):
        make(answers=["+"])


@pytest.mark.parametrize(
    ("more", "validity", "reason", "answer"),
    [
        ({"status": "D"}, "not_available", "deleted", ""),
        ({"status": "W"}, "not_available", "posted_wrong", ""),
        ({"status": ""}, "questionable", "no_status", "POS"),
        ({"status": "I"}, "ongoing", "pending", "POS"),
        ({"flags": ">"}, "valid", "", "POS"),
        ({"code": "NEW"}, "questionable", "unknown_test", "POS"),
    ],
)
def test_an_answer_is_believed_as_a_number_is(more: dict[str, str], validity: str, reason: str, answer: str) -> None:
    seen = one(obx(**({"code": "GLU", "value": "POS", "kind": "ST", "unit": ""} | more)))
    assert (seen.validity, seen.reason, seen.answer, seen.value) == (validity, reason, answer, None)
    (training,) = read(obx("GLU", "POS", kind="ST"), more={"mode": "T"})
    assert (training.validity, training.reason, training.answer) == ("questionable", "training", "POS")


def test_another_answer_is_another_version() -> None:
    driver = make()
    sent = [oru(obx("GLU", word, kind="ST"), number=str(n)) for n, word in enumerate(("NEG", "POS", "POS"))]
    outputs = feed(driver, *sent)
    assert [seen.answer for seen in results_of(outputs)] == ["NEG", "POS"]
    assert reasons(outputs) == ["duplicate_result"]


@pytest.mark.parametrize("kind", ["ED", "RP", "XPN", "XCN", "XAD", "XTN", "PN"])
def test_images_names_and_addresses_are_named_with_their_size(kind: str) -> None:
    seen = one(obx("SCATTER", "^Image^BMP^Base64^QUJDREVG", kind=kind))
    assert (seen.value, seen.reason, seen.text) == (None, "not_decoded", "")
    assert seen.comments == ("OBX-3 SCATTER", f"{kind}, 26 characters")
    assert "QUJDREVG" not in repr(seen)


def test_a_long_text_is_a_blob_by_another_name() -> None:
    seen = one(obx("GLU", "A" * 1001, kind="ST"))
    assert (seen.text, seen.reason, seen.comments) == ("", "not_decoded", ("ST, 1001 characters",))
    assert one(obx("GLU", "A" * 1000, kind="ST")).text == "A" * 1000
    assert one(obx("GLU", "1" * 1001)).comments == ("NM, 1001 characters",)


def test_a_changed_image_is_a_new_version() -> None:
    first, second = (one(obx("I", f"^Image^BMP^Base64^{data}", kind="ED")) for data in ("AAAA", "AAAB"))
    assert first.identity != second.identity


STATUSES = [
    ("F", "final", "valid", ""),
    ("C", "corrected", "valid", ""),
    ("P", "preliminary", "valid", ""),
    ("S", "preliminary", "valid", ""),
    ("R", "preliminary", "valid", ""),
    ("I", "preliminary", "ongoing", "pending"),
    ("D", "cancelled", "not_available", "deleted"),
    ("W", "cancelled", "not_available", "posted_wrong"),
    ("X", "cancelled", "not_available", "cancelled"),
    ("N", "unknown", "not_available", "not_measured"),
    ("O", "unknown", "not_available", "no_result"),
    ("U", "final", "not_available", "status_change"),
    ("", "unknown", "questionable", "no_status"),
    ("Z", "unknown", "questionable", "unknown_status"),
    ("FF", "unknown", "questionable", "unknown_status"),
]


@pytest.mark.parametrize(("letter", "status", "validity", "reason"), STATUSES)
def test_every_status(letter: str, status: str, validity: str, reason: str) -> None:
    seen = one(obx("GLU", "5.5", status=letter))
    assert (seen.status, seen.validity, seen.reason, seen.vendor_status) == (status, validity, reason, letter)
    assert seen.value == (None if validity == "not_available" else Decimal("5.5"))
    assert seen.text == "5.5"


@pytest.mark.parametrize("letter", ["D", "W", "X"])
@pytest.mark.parametrize("flags", ["", ">", "A~H"])
@pytest.mark.parametrize("mode", ["P", "T"])
def test_withdrawn_is_never_a_value(letter: str, flags: str, mode: str) -> None:
    (seen,) = read(obx("GLU", "5.5", status=letter, flags=flags), more={"mode": mode})
    assert (seen.value, seen.validity, seen.status) == (None, "not_available", "cancelled")


def test_a_status_may_be_left_out_where_the_laboratory_says_so() -> None:
    seen = one(obx("GLU", "5.5", status=""), status_optional=True)
    assert (seen.validity, seen.status) == ("valid", "unknown")


def test_an_nm_has_no_comparator() -> None:
    seen = one(obx("GLU", "<5"))
    assert (seen.value, seen.comparator, seen.validity, seen.reason) == (
        Decimal(5),
        "<",
        "questionable",
        "comparator_in_number",
    )


@pytest.mark.parametrize(
    ("value", "flags", "validity", "reason", "told"),
    [
        ("5.5", "", "valid", "", ()),
        ("5.5", "L~N", "valid", "", ("L", "N")),
        ("5.5", "~A", "valid", "", ("A",)),
        ("500", ">", "overflow", "out_of_range_high", (">",)),
        ("5", "H~<", "underflow", "out_of_range_low", ("H", "<")),
        ("5.5", "M", "not_available", "masked", ("M",)),
        ("5.5", "H~W!", "questionable", "unreliable", ("H", "W!")),
    ],
)
def test_flags(value: str, flags: str, validity: str, reason: str, told: tuple[str, ...]) -> None:
    seen = one(obx("GLU", value, flags=flags), masked_flags=["M"], unreliable_flags=["W!"])
    assert (seen.validity, seen.reason, seen.flags) == (validity, reason, told)
    assert (seen.value is None) == (reason == "masked")
    assert (seen.status == "questionable") == (reason in ("masked", "unreliable"))


def test_a_comparator_and_a_flag_say_the_same() -> None:
    seen = one(obx("GLU", ">500", kind="ST", flags=">"))
    assert (seen.validity, seen.comparator) == ("valid", ">")


def test_a_test_that_nobody_vouches_for_is_questionable() -> None:
    seen = one(obx("NEW^New test^99X", "5.5", sub="2"))
    assert (seen.value, seen.validity, seen.reason) == (Decimal("5.5"), "questionable", "unknown_test")
    assert (seen.test, seen.comments, seen.status) == ("NEW", ("OBX-3 NEW^New test^99X|2",), "final")
    assert one(obx("NEW", "5.5"), loinc={"NEW": "2345-7"}).validity == "valid"
    assert one(obx("NEW", "5.5"), tests="NEW").validity == "valid"


def test_a_result_without_a_code() -> None:
    seen = one(obx("", "5.5"))
    assert (seen.test, seen.validity, seen.reason) == ("", "questionable", "no_test_code")


def test_loinc_is_the_laboratory_s_own() -> None:
    assert one(obx("2345-7^Glucose^LN", "5.5"), tests=["2345-7"]).loinc == ""
    assert one(obx("GLU", "5.5"), loinc={"GLU": "2345-7"}).loinc == "2345-7"
    with pytest.raises(msgspec.ValidationError, match="no LOINC code"):
        make(loinc={"GLU": "2345-8"})


@pytest.mark.parametrize(
    ("unit", "vendor_unit", "ucum"),
    [
        ("mg/dl", "mg/dl", "mg/dL"),
        ("mg/dl^milligrams^L", "mg/dl", "mg/dL"),
        (" mg/dl ", "mg/dl", "mg/dL"),
        ("10\\S\\9/L", "10^9/L", ""),
        ("10)/mm)", "10)/mm)", ""),
        ("\u03bcg/L", "\u03bcg/L", ""),
        ("", "", ""),
    ],
)
def test_the_vendor_s_unit_stands_beside_ucum(unit: str, vendor_unit: str, ucum: str) -> None:
    seen = one(obx("GLU", "5.5", unit=unit), units={"mg/dl": "mg/dL"})
    assert (seen.vendor_unit, seen.unit, seen.value) == (vendor_unit, ucum, Decimal("5.5"))


def test_units_that_a_line_of_7_bits_has_damaged_are_known_where_the_site_says_so() -> None:
    units = {"10)/mm)": "10*3/uL"}
    told = [one(obx("GLU", "7.2", unit=unit), units=units) for unit in ("10)/mm)", "102/mm)")]
    assert [(seen.unit, seen.vendor_unit) for seen in told] == [("10*3/uL", "10)/mm)"), ("", "102/mm)")]


def test_fields_that_moved_are_no_valid_value() -> None:
    """A bar that was lost or came out of nothing moves the value, the unit or the status away from its place."""
    good = obx("GLU", "5.5", sub="tes2", range="3-6")
    for at, letter in enumerate(good):
        moved = good[:at] + ("l" if letter == "|" else "|") + good[at + 1 :]
        for seen in read(moved):
            assert seen.validity != "valid" or (seen.value, seen.test) == (Decimal("5.5"), "GLU"), moved
    assert one(obx("GLU", "2", sub="tes", unit="5.500")).reason == "unit"


@pytest.mark.parametrize(("value", "number"), [("1,5", "1.5"), ("0,25", "0.25"), ("7", "7"), ("1.5", None)])
def test_a_decimal_comma_where_the_device_has_one(value: str, number: str | None) -> None:
    assert one(obx("GLU", value), decimal_comma=True).value == (Decimal(number) if number else None)


def test_words_of_the_device_s_language() -> None:
    words = {"Pas de résultat": "no_result", "ERREUR": "invalid"}
    assert one(obx("GLU", "PAS DE RÉSULTAT", kind="ST"), words=words).reason == "no_result"
    assert one(obx("GLU", "erreur", kind="ST"), words=words).reason == "invalid"
    assert one(obx("GLU", "Positif", kind="ST"), words=words).answer == "Positif"


@pytest.mark.parametrize(
    ("mode", "purpose", "validity", "reason", "status"),
    [
        ("P", "patient", "valid", "", "final"),
        ("", "patient", "valid", "", "final"),
        ("P^A", "patient", "valid", "", "final"),
        ("Q", "qc", "valid", "", "final"),
        ("T", "patient", "questionable", "training", "questionable"),
        ("D", "patient", "questionable", "debugging", "questionable"),
        ("X", "patient", "questionable", "unknown_processing", "questionable"),
    ],
)
def test_what_a_message_is_for(mode: str, purpose: str, validity: str, reason: str, status: str) -> None:
    (seen,) = read(obx("GLU", "5.5"), more={"mode": mode})
    assert (seen.purpose, seen.validity, seen.reason, seen.status) == (purpose, validity, reason, status)


@pytest.mark.parametrize(
    ("role", "purpose"), [("P", "patient"), ("", "patient"), ("Q", "qc"), ("C", "qc"), ("L", "patient")]
)
def test_the_role_of_the_specimen(role: str, purpose: str) -> None:
    (seen,) = read(obx("GLU", "5.5"), f"SPM|1|SP9||SER|||||||{role}")
    assert (seen.purpose, seen.specimen, seen.specimen_type) == (purpose, "SP9", "SER")


def test_a_control_by_its_name() -> None:
    driver = make(qc_specimen_prefix="QC-")
    seen = results_of(feed(driver, oru(obx("GLU", "5.5"), specimen="QC-1"), oru(obx("GLU", "5.5"), number="2")))
    assert [result.purpose for result in seen] == ["qc", "patient"]


def test_times() -> None:
    seen = one(obx("GLU", "5.5", time="20260105095500"))
    assert (seen.started, seen.completed, seen.device_time) == ("20260105094500", "20260105095500", "20260105095500")
    seen = one(obx("GLU", "5.5"))
    assert (seen.started, seen.completed, seen.device_time) == ("20260105094500", "", "20260105100000")
    seen = one(obx("GLU", "5.5", time="20260105095500") + "|||||20260105095900")
    assert seen.completed == "20260105095900"


@pytest.mark.parametrize("time", ["19700101000000", "20991231235959", "not a time", ""])
def test_a_wrong_clock_is_passed_on_as_sent(time: str) -> None:
    (seen,) = read(obx("GLU", "5.5"), more={"time": time})
    assert seen.device_time == time


def test_what_is_told_of_specimen_run_and_instrument() -> None:
    driver = make(run=["OBR-3"], specimen=["OBR-2.1"])
    message = wire(msh(), "OBR|1|BAR^X|12||||||||||||SER^Serum", obx("GLU", "5.5") + "||||I1^A~I2")
    (seen,) = results_of(feed(driver, message))
    assert (seen.specimen, seen.specimen_type, seen.instrument) == ("BAR", "SER", "I1^A~I2")
    assert (seen.run, seen.comments) == ("12", ())


def test_an_unread_bar_code_is_no_specimen_and_no_patient() -> None:
    (seen,) = results_of(feed(make(specimen=["OBR-2"]), wire(msh(), "PID|1||4711", "OBR|1||12", obx("GLU", "5.5"))))
    assert seen.specimen == ""
    assert "4711" not in repr(seen)


def test_notes_on_a_result_are_its_comments() -> None:
    outputs = feed(
        make(),
        wire(
            *(msh(), "PID|1", "NTE|1|L|on the patient", "OBR|1||S1", "NTE|1|L|on the order"),
            *(obx("GLU", "5"), "NTE|1|L|first \\T\\ last", "NTE|2|L|", "NTE|3|L|second", obx("NA", "140")),
        ),
    )
    assert [seen.comments for seen in results_of(outputs)] == [("first & last", "second"), ()]
    assert reasons(outputs) == ["comment_not_on_result"]
    outputs = feed(make(order_notes=True), wire(msh(), "OBR|1||S1", "NTE|1|L|why", obx("GLU", "5"), obx("NA", "140")))
    assert [seen.comments for seen in results_of(outputs)] == [("why",)] * 2


def test_nothing_of_a_patient_is_read() -> None:
    secret = [
        "PID|1|A1B2|A1B2^^^MR||A1B2^JANE",
        "NK1|1|A1B2",
        "PV1|1|I|A1B2",
        "NTE|1|L|A1B2",
        "GT1|1|A1B2",
        "IN1|1|A1B2",
    ]
    outputs = feed(make(), wire(msh(), *secret, "OBR|1||S1||||||||A1B2", obx("GLU", "5.5") + "||A1B2^DR"))
    assert len(results_of(outputs)) == 1
    assert "A1B2" not in repr(outputs)


def test_segments_that_mean_nothing_here_are_counted_once() -> None:
    outputs = feed(make(), oru(obx("GLU", "5.5"), "ZAB|1", "ZAB|2", "DSC|x"))
    assert [(fault.reason, fault.detail) for fault in outputs[0].faults] == [
        ("unknown_record", "DSC"),
        ("unknown_record", "ZAB"),
    ]


def test_a_message_without_results() -> None:
    assert reasons(feed(make(), oru())) == ["no_results"]


def test_results_without_an_order() -> None:
    (seen,) = results_of(feed(make(), wire(msh(), obx("GLU", "5.5"))))
    assert (seen.specimen, seen.value) == ("", Decimal("5.5"))


def test_two_orders_and_their_specimens() -> None:
    message = wire(
        *(msh(), "OBR|1|||A", obx("GLU", "1"), "SPM|1|SP1", "ORC|RE", "OBR|2|||B", "TQ1|1", obx("GLU", "2")),
        *("SPM|2|SP2", "OBR|3||FALLBACK|C", obx("GLU", "3")),
    )
    assert [seen.specimen for seen in results_of(feed(make(), message))] == ["SP1", "SP2", "FALLBACK"]


def test_the_specimen_comes_first_in_oul() -> None:
    message = wire(
        *(msh(kind="OUL^R22^OUL_R22", version="2.5"), "SPM|1|SP1|||||||||P", "SAC|||BOX1", "OBR|1|||A", "ORC|OK"),
        *(obx("GLU", "1"), "OBR|2|||B", obx("NA", "2"), "SPM|2|SP2|||||||||Q", "OBR|3|||C", obx("GLU", "3")),
    )
    seen = results_of(feed(make(), message))
    assert [(one.specimen, one.purpose) for one in seen] == [("SP1", "patient"), ("SP1", "patient"), ("SP2", "qc")]
    message = wire(msh(kind="OUL^R23"), "SAC|||BOX1", "OBR|1|||A", obx("GLU", "1"))
    assert [one.specimen for one in results_of(feed(make(), message))] == ["BOX1"]


def test_no_specimen_is_left_over_for_the_next_order() -> None:
    """A container of the specimen before, or of the order before, is not this one's."""
    rows = ("OBR|1|||A", obx("GLU", "1")), ("OBR|2|||B", obx("GLU", "2"))
    message = wire(msh(kind="OUL^R22"), "SPM|1|", "SAC|||BOX1", *rows[0], "SPM|2|", *rows[1])
    assert [one.specimen for one in results_of(feed(make(), message))] == ["BOX1", ""]
    message = wire(msh(kind="OUL^R21"), "SAC|||BOX1", "ORC|RE", *rows[0], "ORC|RE", *rows[1])
    assert [one.specimen for one in results_of(feed(make(), message))] == ["BOX1", ""]
    message = wire(msh(kind="OUL^R21"), *rows[0], "SAC|||BOX2", *rows[1])
    assert [one.specimen for one in results_of(feed(make(), message))] == ["", "BOX2"]


def test_the_specimen_stands_between_order_and_results_in_oul_r24() -> None:
    message = wire(
        *(msh(kind="OUL^R24"), "OBR|1|||A|||T1", "ORC|RE", "SPM|1|SP1", "SAC|||BOX1", obx("GLU", "1")),
        *("OBR|2|||B|||T2", obx("GLU", "2"), "OBR|3|||C", "SPM|2|SP3", obx("GLU", "3")),
    )
    seen = [(one.specimen, one.started) for one in results_of(feed(make(), message))]
    assert seen == [("SP1", "T1"), ("", "T2"), ("SP3", "")]


def test_a_specimen_before_the_first_order_of_an_oru() -> None:
    message = wire(msh(), "SPM|1|SP1", "OBR|1|||A", obx("GLU", "1"), "OBR|2|||B", obx("GLU", "2"))
    assert [one.specimen for one in results_of(feed(make(), message))] == ["SP1", ""]


def test_other_delimiters_and_what_was_learnt_by_the_first_ones() -> None:
    driver = make()
    plain = oru(obx("GLU^G^L", "5.5"))
    other = (
        b"\x0bMSH#*+!:#ANALYZER#LAB###20260105#"
        + b"#ORU*R01#2#P#2.4\rOBR#1##S1\rOBX#1#NM#GLU*G*L##6!F!5####N##F\r\x1c\r"
    )
    outputs = feed(driver, plain, other.replace(b"####N##F", b"######F"))
    assert [seen.test for seen in results_of(outputs)] == ["GLU", "GLU"]
    assert results_of(outputs)[1].text == "6!F!5"
    assert results_of(outputs)[1].value is None


def test_encodings() -> None:
    message = oru(obx("GLU", "Zu wenig Probe ä", kind="ST")).decode().encode("latin-1")
    for options in ({}, {"encoding": "iso-8859-1"}, {"encoding": "cp1252"}):
        (seen,) = results_of(feed(make(**options), message))
        assert seen.text == "Zu wenig Probe ä"


def test_many_combinations_are_forgotten_and_read_again() -> None:
    driver = make()
    for start in range(0, 3000, 1000):
        message = oru(*(obx(f"T{n}", "1") for n in range(start, start + 1000)), number=str(start))
        assert len(results_of(feed(driver, message))) == 1000
    (seen,) = results_of(feed(driver, oru(obx("GLU", "5.5", range="x" * 300), number="x")))
    assert (seen.validity, seen.reference_range) == ("valid", "x" * 300)
