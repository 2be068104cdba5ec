"""The profiles against the documents' own messages, or messages in their form."""

from decimal import Decimal

import pytest

from drivers.observation import Device, Result
from tests.drivers.hl7_lab.made import codes, feed, make, reasons, results_of, wire

BC = r"MSH|^~\&|BC-5380|Mindray|||20080617143943||ORU^R01|1|P|2.3.1||||||UNICODE"
BC_OBR = "OBR|1||20071207011|00001^Automated Count^99MRC||20080508140600|20080508150616|||John||||20080508150000"


def told(result: Result) -> tuple[str, str | None, str, str, str]:
    """Test, value, unit, validity and purpose."""
    return (
        result.test,
        None if result.value is None else str(result.value),
        result.unit,
        result.validity,
        result.purpose,
    )


def test_a_count_of_a_bc_5380_that_measured_little() -> None:
    message = wire(
        *(BC, "PID|1||7393670^^^^MR||DOE^JANE||19900804000000|Female", "PV1|1||nk^^001", BC_OBR),
        "OBX|2|NM|6690-2^WBC^LN||9.81|10*9/L|4.00-10.00|N|||F||E",
        "OBX|3|NM|704-7^BAS#^LN|||10*9/L|0.00-0.10||||F",
        "OBX|4|NM|706-2^BAS%^LN||||0.000-0.010||||F",
        "OBX|5|NM|6690-2^WBC^LN||0.412||0.4-0.5|N|||F",
    )
    outputs = feed(make("mindray_bc"), message)
    assert [told(seen) for seen in results_of(outputs)] == [
        ("6690-2", "9.81", "10*9/L", "valid", "patient"),
        ("704-7", None, "10*9/L", "not_available", "patient"),
        ("706-2", None, "", "not_available", "patient"),
        ("6690-2", "0.412", "", "valid", "patient"),
    ]
    (first, *_) = results_of(outputs)
    assert (first.specimen, first.completed, first.started) == ("20071207011", "20080508150616", "")
    assert "John" not in repr(outputs)
    assert "7393670" not in repr(outputs)


def test_an_empty_sender_is_a_bc_5150() -> None:
    message = wire(
        r"MSH|^~\&|||||20190504060825||ORU^R01|389|P|2.3.1||||||UNICODE",
        BC_OBR,
        "OBX|1|NM|777-3^PLT^LN||33|10*3/uL||L~N|||F",
    )
    (output,) = feed(make("mindray_bc"), message)
    assert [told(seen)[:2] for seen in results_of([output])] == [("777-3", "33")]
    assert b"MSH|^~\\&|JISR|||||" not in output.send
    assert codes(output) == ["AA"]


@pytest.mark.parametrize("maker", ["Dymind", "Sysmex"])
def test_another_maker_is_not_read_under_mindray_s_table(maker: str) -> None:
    (output,) = feed(
        make("mindray_bc"), wire(BC.replace("Mindray", maker), BC_OBR, "OBX|1|NM|6690-2||7|10*9/L||N|||F")
    )
    assert (results_of([output]), reasons([output]), codes(output)) == ([], ["wrong_device"], ["AR"])


@pytest.mark.parametrize(
    ("mode", "kind", "purpose"),
    [
        ("P", "00001", "patient"),
        ("P", "00002", "patient"),
        ("Q", "00001", "qc"),
        ("P", "00003", "qc"),
        ("P", "00008", "qc"),
    ],
)
def test_controls_of_a_bc(mode: str, kind: str, purpose: str) -> None:
    order = BC_OBR.replace("00001", kind)
    outputs = feed(
        make("mindray_bc"), wire(BC.replace("|P|", f"|{mode}|"), order, "OBX|1|NM|6690-2||7|10*9/L||N|||F")
    )
    assert [seen.purpose for seen in results_of(outputs)] == [purpose]


def test_age_and_remark_are_left_out() -> None:
    rows = ("OBX|1|NM|30525-0^Age^LN||61|yr|||||F", "OBX|2|ST|01001^Remark^99MRC||Mrs DOE||||||F")
    outputs = feed(make("mindray_bc"), wire(BC, BC_OBR, *rows))
    assert (results_of(outputs), reasons(outputs)) == ([], [])


BS = r"MSH|^~\&|Mindray|BS-200E|||20070719145353||ORU^R01|1|P|2.3.1||||{kind}||ASCII|||"
CONTROL = (
    "OBR|1|1|test1|Mindray^BS-200E||20070720120143|||||||QUAL1|1111|20080720000000||H|5.000000|2.000000|0.11029|g/ml"
)


def test_a_sample_of_a_bs_200e() -> None:
    order = "OBR|1|0000000002|2|Mindray^BS-200E|Y||20070719145300||||||||serum|||"
    message = wire(
        BS.format(kind=0),
        "PID|1|854||12|Tommy||19830719145307|F|A|",
        order,
        "OBX|1|NM|2|test2|5.000000|g/ml|-||||F|||||||",
    )
    (output,) = feed(make("mindray_bs", tests=["2"]), message)
    (seen,) = results_of([output])
    assert told(seen) == ("2", "5.000000", "g/mL", "valid", "patient")
    assert (seen.specimen, seen.specimen_type, seen.comments) == ("0000000002", "serum", ())
    assert seen.run == "2"
    assert (seen.reference_range, seen.vendor_unit, seen.completed) == ("-", "g/ml", "20070719145300")
    assert output.send == (
        b"\x0bMSH|^~\\&|||Mindray|BS-200E|20070719145353||ACK^R01|1|P|2.3.1||||0||ASCII|||\r"
        b"MSA|AA|1|Message accepted|||0|\r\x1c\r"
    )
    assert b"Tommy" not in repr(output).encode()


def test_a_control_of_a_bs_stands_in_its_order() -> None:
    (output,) = feed(make("mindray_bs", tests=["1"]), wire(BS.format(kind=2), CONTROL))
    (seen,) = results_of([output])
    assert told(seen) == ("1", "0.11029", "g/mL", "valid", "qc")
    assert (seen.specimen, seen.completed, seen.status, seen.vendor_status) == (
        "QUAL1",
        "20070720120143",
        "unknown",
        "",
    )
    assert seen.comments == ("OBR-14 1111", "OBR-15 20080720000000", "OBR-17 H", "OBR-18 5.000000", "OBR-19 2.000000")


@pytest.mark.parametrize("at", range(len(CONTROL)))
def test_a_control_whose_fields_moved_is_not_valid(at: int) -> None:
    moved = CONTROL[:at] + ("t" if CONTROL[at] == "|" else "|") + CONTROL[at + 1 :]
    for seen in results_of(feed(make("mindray_bs", tests=["1"]), wire(BS.format(kind=2), moved))):
        assert seen.validity != "valid" or (seen.test, seen.value) == ("1", Decimal("0.11029"))


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        ("||H|", "||X|"),
        ("|5.000000|", "|high|"),
        ("|2.000000|", "||"),
        ("|g/ml", "|"),
        ("|20070720120143|", "|today|"),
    ],
)
def test_a_control_without_its_form_is_questionable(sent: str, wrong: str) -> None:
    outputs = feed(make("mindray_bs", tests=["1"]), wire(BS.format(kind=2), CONTROL.replace(sent, wrong)))
    assert [(seen.validity, seen.reason) for seen in results_of(outputs)] == [("questionable", "no_status")]


def test_a_control_without_a_test_is_none() -> None:
    for segment in (CONTROL.replace("OBR|1|1|", "OBR|1||"), "PID|1"):
        outputs = feed(make("mindray_bs"), wire(BS.format(kind=2), segment))
        assert (results_of(outputs), reasons(outputs)) == ([], ["no_results"])


def test_a_calibration_is_refused_unread() -> None:
    (output,) = feed(make("mindray_bs"), wire(BS.format(kind=1), CONTROL))
    assert (output.observations, reasons([output])) == ((), ["not_read"])
    assert b"MSA|AR|1|Unsupported message type|||200|\r" in output.send


def test_a_disk_that_is_full_is_told_to_a_bs() -> None:
    (output,) = feed(make("mindray_bs"), wire(BS.format(kind=2), CONTROL))
    assert output.refusal.endswith(b"\rMSA|AE|1|Application internal error|||207|\r\x1c\r")


def test_enhanced_mode_is_answered_without_mindray_s_bars() -> None:
    (output,) = feed(make("mindray_bs"), wire(BS.format(kind=2).replace("||||2", "|||AL|2"), CONTROL))
    assert output.send.endswith(b"|P|2.3.1|||NE|NE||ASCII\rMSA|CA|1\r\x1c\r")


GX = r"MSH|^~\&|ICU^GeneXpert^6.5||LIS||20260917183827||ORU^R32^ORU_R30|GXM-3|P|2.5"


def gx(*rows: str, role: str = "P", **options: object) -> list[Result]:
    """The results of one GeneXpert message."""
    head = (GX, "PID|1||EXAMPLE", "ORC|RE|1", "OBR|1|||HIV-1", "TQ1|||||||20260917170829|20260917183818|R")
    return results_of(feed(make("genexpert", **options), wire(*head, *rows, f"SPM|1|00726^||ORH|||||||{role}")))


@pytest.mark.parametrize(
    ("value", "status", "number", "reason"),
    [
        ("^61", "F", "61", ""),
        ("DETECTED^1500", "F", "1500", ""),
        ("^", "F", None, "not_measured"),
        ("", "F", None, "not_measured"),
        ("INVALID^12", "F", None, "invalid"),
        ("ERREUR^", "F", None, "invalid"),
        ("PAS DE RÉSULTAT^", "F", None, "no_result"),
        ("NO RESULT^", "F", None, "no_result"),
        ("61", "F", None, "not_numeric"),
        ("^<40", "F", None, "not_numeric"),
        ("^60,96", "F", None, "not_numeric"),
        ("ERROR^", "X", None, "cancelled"),
        ("^27.3", "", None, "not_a_result"),
    ],
)
def test_word_and_number_of_a_genexpert(value: str, status: str, number: str | None, reason: str) -> None:
    (seen,) = gx(f"OBX|1|ST|&HIV-1&Xpert HIV-1&1|&|{value}|Copies/mL||N|||{status}", tests=["HIV-1"])
    assert (None if seen.value is None else str(seen.value), seen.reason) == (number, reason)
    assert (seen.test, seen.text, seen.specimen) == ("HIV-1", value, "00726")
    assert (seen.started, seen.completed) == ("20260917170829", "20260917183818")


@pytest.mark.parametrize(
    ("value", "answer", "number", "validity", "reason"),
    [
        ("DETECTED^", "DETECTED", None, "valid", ""),
        ("Rif Resistance NOT DETECTED", "Rif Resistance NOT DETECTED", None, "valid", ""),
        ("DETECTED^1500", "DETECTED", "1500", "valid", ""),
        ("DETECTED^<40", "DETECTED", None, "questionable", "not_numeric"),
        ("MTB DÉTECTÉ^", "MTB DÉTECTÉ", None, "questionable", "unknown_answer"),
        ("MTB DÉTECTÉ^12", "MTB DÉTECTÉ", "12", "questionable", "unknown_answer"),
        ("NON VALIDE^12", "", None, "not_available", "invalid"),
        ("NO RESULT, REPEAT^12", "", None, "not_available", "no_result"),
    ],
)
def test_the_words_of_a_genexpert_are_its_result(
    value: str, answer: str, number: str | None, validity: str, reason: str
) -> None:
    (seen,) = gx(f"OBX|1|ST|&HIV-1&Xpert HIV-1&1|&|{value}|Copies/mL||N|||F", tests=["HIV-1"])
    assert (seen.answer, None if seen.value is None else str(seen.value)) == (answer, number)
    assert (seen.validity, seen.reason) == (validity, reason)
    assert seen.status == ("questionable" if validity == "questionable" else "final")


def test_a_detail_in_words_is_no_result() -> None:
    (seen,) = gx("OBX|1|ST|MTB&X|rpoB1&|POS^||||||")
    assert (seen.answer, seen.validity, seen.reason, seen.status) == ("", "not_available", "not_a_result", "unknown")


def test_the_lot_of_a_cartridge() -> None:
    row = "OBX|1|ST|&HIV-1&X&1|&|DETECTED^||||||F|||||||"
    rows = [row + "20270124~10804~0~0~800000~PC", row + "~~~~800000~", row]
    assert [seen.reagent_lot for seen in gx(*rows)] == ["10804", "", ""]


def test_a_genexpert_in_french() -> None:
    (seen,) = gx("OBX|1|ST|&HIV-1&X&1|&|^60,96|||N|||F", tests=["HIV-1"], decimal_comma=True)
    assert str(seen.value) == "60.96"


def test_the_codes_of_a_panel_and_its_details() -> None:
    rows = [
        "MTBXDR&MTB&Xpert MTB-XDR&1|MTB&",
        "MTBXDR&MTB|inhA-melt&PkHgt",
        "&HIV-1&Xpert HIV-1&1|&LOG",
        "&GBS TC&GBS&4|",
    ]
    assert [seen.test for seen in gx(*(f"OBX|1|ST|{row}|^1||||||F" for row in rows))] == [
        *("MTBXDR^MTB", "MTBXDR^MTB^inhA-melt^PkHgt", "HIV-1^LOG", "GBS TC"),
    ]


def test_a_control_of_a_genexpert() -> None:
    row = "OBX|1|ST|&HIV-1&X&1|&|NEGATIVE^||||||F|||||^OPERATOR||~~~~800000~"
    (control,) = gx(row, role="Q")
    (patient,) = gx(row)
    assert (control.purpose, patient.purpose, control.instrument) == ("qc", "patient", "~~~~800000~")
    assert "OPERATOR" not in repr(control)


def test_who_a_genexpert_says_it_is() -> None:
    (output,) = feed(make("genexpert"), wire(GX, "OBR|1", "OBX|1|ST|&A&B&1||X^||||||F"))
    (device,) = [seen for seen in output.observations if isinstance(seen, Device)]
    assert device.identity == {"system": "ICU", "model": "GeneXpert", "software": "6.5"}
    assert output.send.startswith(b"\x0bMSH|^~\\&|LIS||ICU^GeneXpert^6.5||20260917183827||ACK|GXM-3|P|2.5\r")
