"""Results that the analyzer says in words, and the lot and run of a result: which words count, and how far."""

from typing import Any

import pytest

from drivers.observation import Result
from tests.drivers.astm.wire import END, HEADER, feed, make, read, reasons, results_of, whole

SENDERS = {"genexpert": "LAB^GeneXpert^4.8", "cobas_c311": "c311^1", "cobas_e411": "cobas-e411^1"}


def row(profile: str, order: str, result: str, options: dict[str, Any] | None = None) -> Result:
    head = f"H|\\^&|||{SENDERS.get(profile, '')}|||||||P|1|20260101080000"
    (found,) = read(head, "P|1||PID0007|NAME", order, result, END, profile=profile, options=options)
    return found


@pytest.mark.parametrize(
    ("value", "answer", "number", "reason"),
    [
        ("NOT DETECTED^", "NOT DETECTED", None, ""),
        (" NOT DETECTED ", "NOT DETECTED", None, ""),
        ("MTB DETECTED LOW^", "MTB DETECTED LOW", None, ""),
        ("MTB DETECTED VERY LOW^ ", "MTB DETECTED VERY LOW", None, ""),
        ("Rif Resistance NOT DETECTED^", "Rif Resistance NOT DETECTED", None, ""),
        ("Rif Resistance INDETERMINATE^", "Rif Resistance INDETERMINATE", None, ""),
        ("MTB Trace DETECTED^", "MTB Trace DETECTED", None, ""),
        ("Negative^", "Negative", None, ""),
        ("HIV-1 DETECTED < 40^", "HIV-1 DETECTED < 40", None, ""),
        ("HIV-1 DETECTED < 40 copies/mL^", "HIV-1 DETECTED < 40 copies/mL", None, ""),
        ("HIV-1 DETECTED^1520", "HIV-1 DETECTED", "1520", ""),
        ("HIV-1 DETECTED^x", "HIV-1 DETECTED", None, "not_numeric"),
        ("MTB DETECTADO^", "MTB DETECTADO", None, "unknown_answer"),
        ("MTB DETECTADO^1520", "MTB DETECTADO", "1520", "unknown_answer"),
        ("NOT DET\x80CTED^", "NOT DET\x80CTED", None, "unknown_answer"),
        ("^1520", "", "1520", ""),
    ],
)
def test_the_words_of_a_genexpert_are_its_result(value: str, answer: str, number: str | None, reason: str) -> None:
    found = row("genexpert", "O|1|S1", f"R|1|^P^^A^T^4^MTB^|{value}|||||F")
    assert (found.answer, None if found.value is None else str(found.value)) == (answer, number)
    assert (found.validity, found.reason) == ("questionable" if reason else "valid", reason)
    assert (found.status, found.text) == ("questionable" if reason else "final", value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("INVALID^", "invalid"),
        ("INVALID^12", "invalid"),
        ("invalid DETECTED^12", "invalid"),
        ("ERROR 5007^", "invalid"),
        ("ERROR DETECTED^", "invalid"),
        ("NO RESULT - REPEAT TEST^", "no_result"),
        ("PAS DE RÉSULTAT^", "no_result"),
        ("Non valide^12", "invalid"),
        ("NA^", "not_measured"),
        ("--^", "not_measured"),
        ("DETECTED *^", "masked"),
        ("1,5^", "not_numeric"),
        (">^", "not_numeric"),
        ("x" * 257 + "^", "not_numeric"),
    ],
)
def test_words_for_nothing_are_no_answer(value: str, reason: str) -> None:
    found = row("genexpert", "O|1|S1", f"R|1|^P^^A^T^4^MTB^|{value}|||||F")
    assert (found.answer, found.value, found.validity, found.reason) == ("", None, "not_available", reason)


def test_a_laboratory_says_which_words_its_analyzer_has() -> None:
    french = {"answers": ["Positif", "N[ée]gatif", "[1-4]\\+", "Traces?"], "words": {"Hémolysé": "invalid"}}
    told = {"Positif": "", "négatif": "", "3+": "", "TRACE": "", "Douteux": "unknown_answer"}
    damaged = {"Nigatif": "unknown_answer", "NC)gatif": "unknown_answer"}
    for word, reason in (told | damaged).items():
        found = row("generic", "O|1|S1", f"R|1|^^^AgHBs|{word}|||||F", options=french)
        assert (found.answer, found.value, found.reason) == (word, None, reason), "as sent, never translated"
        assert (found.validity == "valid") == (not reason)
    for word, reason in {
        "HÉMOLYSÉ": "invalid",
        "5+": "not_numeric",
        "1,5": "not_numeric",
        "": "not_measured",
    }.items():
        found = row("generic", "O|1|S1", f"R|1|^^^AgHBs|{word}|||||F", options=french)
        assert (found.answer, found.validity, found.reason) == ("", "not_available", reason)
    assert row("generic", "O|1|S1", "R|1|^^^AgHBs|Positif|||||F").reason == "not_numeric", "no profile says so"


@pytest.mark.parametrize(
    ("change", "validity", "reason", "answer"),
    [
        (("||F", "||X"), "not_available", "cancelled", ""),
        (("||F", "||"), "not_available", "not_a_result", ""),
        (("||F", "||W"), "questionable", "unreliable", "DETECTED"),
        (("||F", "||I"), "ongoing", "pending", "DETECTED"),
        (("||F", "||C"), "valid", "", "DETECTED"),
        (("|||||F", "|||>||F"), "valid", "", "DETECTED"),
    ],
)
def test_an_answer_is_believed_as_a_number_is(
    change: tuple[str, str], validity: str, reason: str, answer: str
) -> None:
    found = row("genexpert", "O|1|S1", "R|1|^P^^A^T^4^MTB^|DETECTED^|||||F".replace(*change))
    assert (found.validity, found.reason, found.answer) == (validity, reason, answer)


def test_another_answer_is_another_version() -> None:
    sent = ["R|1|^P^^A^T^4^MTB^|NOT DETECTED^|||||F", "R|1|^P^^A^T^4^MTB^|DETECTED^|||||F"]
    first, second = (row("genexpert", "O|1|S1", record) for record in sent)
    assert first.identity != second.identity
    driver = make("genexpert")
    for record in (*sent, sent[1]):
        outputs = feed(driver, [whole("H|@^\\|||LAB^GeneXpert^4.8|||||||P|1|20260101", "O|1|S1", record, END)])
    assert (results_of(outputs), reasons(outputs)) == ([], ["duplicate_result"])


def test_an_answer_for_a_specimen_that_nobody_read_is_doubted() -> None:
    options = {"answers": ["Positif"], "unread_specimen": "@"}
    found = row("generic", "O|1|@3", "R|1|^^^T|Positif|||||F", options=options)
    assert (found.answer, found.validity, found.reason) == ("Positif", "questionable", "specimen_unread")
    partial = results_of(feed(make("generic", options), [whole(HEADER, "O|1|S1", "R|1|^^^T|Positif|||||F", "L|1|E")]))
    assert [(seen.answer, seen.text, seen.reason) for seen in partial] == [("", "Positif", "partial")]


@pytest.mark.parametrize(
    ("profile", "order", "record", "lot", "run"),
    [
        ("genexpert", "O|1|S1", "R|1|^P^^A|DETECTED^|||||F|||||PC^11^22^33^56401^20270525", "56401", ""),
        ("genexpert", "O|1|S1", "R|1|^P^^A|DETECTED^|||||F|||||^700434^^^^", "", ""),
        ("genexpert", "O|1|S1", "R|1|^P^^A|DETECTED^|||||F", "", ""),
        ("cobas_c311", "O|1|123456|17^50005^005^^S1^SC", "R|1|^^^685/|7|||||F", "", "17"),
        ("cobas_c311", "O|1|11625^ID  ^1^^004|R1", "R|1|^^^685/|7|||||F", "", ""),
        ("cobas_e411", "O|1|601|4^0^4^^S1^SC", "R|1|^^^10^1|7|||||F", "", "4"),
        ("generic", "O|1|601|4^0^4^^S1^SC", "R|1|^^^10|7|||||F|||||a^b^c^d^e", "", ""),
    ],
)
def test_lot_and_run_where_the_document_names_them(profile: str, order: str, record: str, lot: str, run: str) -> None:
    found = row(profile, order, record)
    assert (found.reagent_lot, found.run) == (lot, run)
