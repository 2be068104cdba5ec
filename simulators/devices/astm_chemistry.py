r"""How chemistry, immunology and molecular analyzers write E1394: Erba XL, Roche cobas, Ortho Vitros, GeneXpert.

`erba_xl`: back-tick as repeat delimiter, version `E 1394-97`, mostly one result a message, a comment
`Instrument Flag A` behind it, value `NA` when there is none; one frame.
`cobas_c111`: a record a frame, all but the last ended by ETB; application codes; sample id in the first component of
field 4; M records of raw rates.  `cobas_c311`: one frame; tests `^^^685/`; field 3 is `id^padded^…`; no time in R.
`cobas_e411`: cut at 240; tests `^^^10/1/not`; values `<2.00` and `-1^0.567`; an unread barcode is `@` and a number.
Data alarms of the three in C behind the result (0: none).
`vitros`: a record a frame; tests `^^^1.0000+950+1.0`; replicates are several R of one code; flags `^0^FRMN\^0^NR`;
status V.
`genexpert`: delimiters `@^\`; one result of the assay each, then rows of its probes with `Ct` and `EndPt`; values
`text^number`; only the results of the assay have a status.
Shapes from public recordings (senaite.astm; e411: a recorded dialogue in a public tool).
"""

from __future__ import annotations

from random import Random

from simulators.devices.lab_results import Analyte, Row, Run, drawn

ERBA_TESTS = (
    Analyte("GLCC", 60, 60, 500, 500, 0, "mg/dl"),
    Analyte("CRR", 0.4, 0.4, 6.0, 6.0, 1, "mg/dl"),
    Analyte("ALTT", 8, 8, 220, 220, 0, "U/L"),
    Analyte("CHOO", 90, 90, 320, 320, 0, "mg/dl"),
    Analyte("TGG", 40, 40, 400, 400, 0, "mg/dl"),
)
C111_TESTS = (Analyte("550", 20, 40, 130, 400, 1, "U/L"), Analyte("687", 5, 10, 40, 200, 1, "U/L"))
C311_TESTS = (
    Analyte("685/", 5, 10, 40, 300, 1, "U/l"),
    Analyte("687/", 5, 10, 40, 300, 1, "U/l"),
    Analyte("712/", 2, 5, 21, 60, 1, "umol/l"),
    Analyte("717/", 2.0, 3.9, 6.1, 25.0, 2, "mmol/l"),
    Analyte("690/", 30, 44, 106, 900, 0, "umol/l"),
)
E411_TESTS = ("10", "117", "880")
VITROS_TESTS = (
    Analyte("301", 20, 35, 55, 90, 0, "g/L"),
    Analyte("950", 0, 0, 30, 60, 0, ""),
    Analyte("951", 0, 0, 30, 60, 0, ""),
)
ALARMS = ("26", "27", "43", "45", "101")
XPERT_PROBES = ("rpoB1", "rpoB2", "rpoB3", "rpoB4", "SPC", "IS1081-IS6110")
XPERT_MELTS = ("rpoB1 melt", "rpoB2 melt", "rpoB3 melt", "rpoB4 melt", "rpoB4 Mut melt A", "rpoB4 Mut melt B")


# -- Erba XL ---------------------------------------------------------------------------------------------------------


def erba_run(rng: Random, number: int) -> Run:
    """Mostly one test."""
    how_many = rng.choice((1, 1, 1, 1, 1, 2, 3))
    rows = []
    for analyte in rng.sample(ERBA_TESTS, how_many):
        is_missing = rng.random() < 0.06
        value = "NA" if is_missing else f"{rng.uniform(analyte.low, analyte.high):.{analyte.decimals}f}"
        rows.append(Row(analyte.test, value, analyte.unit, "A", "F", rng.choice(("A", "A", "A", "A,A,A,A"))))
    return Run(str(number), tuple(rows), number=number)


def erba_records(run: Run, finished: str, sent: str) -> list[str]:
    """The message of an Erba XL."""
    action = "Q" if run.purpose == "control" else ""
    records = [
        f"H|`^&||||||||||P|E 1394-97|{sent}",
        "P|1|||||||U||||||||0|0",
        f"O|1|{run.specimen}||{'`'.join('^^^' + row.test for row in run.rows)}|||||||{action}||||SERUM",
    ]
    for index, row in enumerate(run.rows, 1):
        records.append(
            f"R|{index}|^^^{row.test}|{row.value}|{row.unit}|^DEFAULT|{row.flag}|N|{row.status}||||{finished}"
        )
        records.append(f"C|1|I|Instrument Flag {row.note}")
    return [*records, "L|1|N"]


def erba_query(specimen: str, number: int, is_cancel: bool) -> list[str]:
    """Two specimens are asked for at once."""
    status = "A" if is_cancel else "O"
    return [
        "H|`^&||||||||||P|E 1394-97|20260101080000",
        f"Q|1|^{specimen}`{number + 1}|||S|||||||{status}",
        "L|1|N",
    ]


# -- Roche cobas -----------------------------------------------------------------------------------------------------


def c111_run(rng: Random, number: int) -> Run:
    """One test of one specimen."""
    analyte = rng.choice(C111_TESTS)
    alarm = rng.choice(("", "", "", "111^? QC"))
    return Run(f"T{number}", (drawn(rng, analyte)._replace(note=alarm),), number=number, operator="LABO")


def c111_records(run: Run, finished: str, sent: str) -> list[str]:
    """The message of a cobas c111."""
    action = "Q" if run.purpose == "control" else "N"
    records = [
        rf"H|\^&|||c111^Roche^c111^4.2.2.1730^1^13147|||||host|RSUPL^REAL|P|1|{sent}",
        "P|1||",
        f"O|1||{run.specimen}^^2||R||||||{action}|||||||||||{finished}|||F",
    ]
    rates = Random(run.number)  # noqa: S311
    for index, row in enumerate(run.rows, 1):
        raw = "\\".join(str(rates.randint(100, 1300)) for _ in range(36))
        records += [
            f"R|{index}|^^^{row.test}|{row.value}|{row.unit}||{row.flag}||{row.status}||{run.operator}||{finished}",
            f"C|1|I|{row.note}|I",
            f"M|1|RR^BM^c111^1|137|{raw}|0.005564",
        ]
    return [*records, "L|1|N"]


def c311_run(rng: Random, number: int) -> Run:
    """Some tests; an alarm makes the flag A."""
    rows = []
    for analyte in C311_TESTS[: rng.randint(2, len(C311_TESTS))]:
        row = drawn(rng, analyte)._replace(note="0")
        if rng.random() < 0.15:
            row = row._replace(flag="A", note=rng.choice(ALARMS))
        rows.append(row)
    return Run(str(number % 100_000), tuple(rows), number=number)


def c311_records(run: Run, finished: str, sent: str) -> list[str]:
    """The message of a cobas c311."""
    del sent
    tests = "\\".join(f"^^^{row.test}" for row in run.rows)
    action = "Q" if run.purpose == "control" else "N"
    padded = f"{run.specimen}^{f'CL-{run.specimen}':22}^1^^004"
    records = [
        r"H|\^&|||c311^1|||||host|RSUPL^REAL|P|1",
        "P|1",
        f"O|1|{padded}|R1|{tests}|R||||||{action}||^^||SC|||labo  |{'^'.join([' ' * 25] * 4)}|||{finished}|||F",
    ]
    for index, row in enumerate(run.rows, 1):
        records.append(f"R|{index}|^^^{row.test}|{row.value}|{row.unit}||{row.flag}||{row.status}|||||P1")
        records.append(f"C|1|I|{row.note}|I")
    return [*records, "L|1|N"]


def c311_query(specimen: str, number: int, is_cancel: bool) -> list[str]:
    """What it asks, and how it withdraws the question."""
    return _cobas_query("c311", f"{specimen:>22}^0^5{number % 10_000:04d}^021^^S1^SC", is_cancel)


def e411_run(rng: Random, number: int) -> Run:
    """Some tests: a value, one below the range, or an index with its verdict."""
    rows = []
    for test in E411_TESTS:
        kind = rng.random()
        value, unit, flag = f"{rng.uniform(2, 60):.2f}", "IU/l", "N"
        if kind < 0.15:
            value, flag = "<2.00", "LL"
        elif kind < 0.4:
            value, unit = f"-1^{rng.uniform(0.1, 0.9):.3f}", "COI"
        rows.append(Row(test, value, unit, flag, "F", "27" if flag == "LL" else "0"))
    return Run(f"{number}", tuple(rows), number=number, operator="ADMIN")


def e411_records(run: Run, finished: str, sent: str) -> list[str]:
    """The message of a cobas e411."""
    del sent
    tests = "\\".join(f"^^^{row.test}^1" for row in run.rows)
    action = "Q" if run.purpose == "control" else "N"
    place = f"{run.number % 10_000}^0001^2^^{'QC' if action == 'Q' else 'S1'}^SC"
    records = [
        r"H|\^&|||cobas-e411^1|||||host|RSUPL^REAL|P|1",
        "P|1",
        f"O|1|{run.specimen}|{place}|{tests}|R||{finished}||||{action}||||1|||||||{finished}|||F",
    ]
    for index, row in enumerate(run.rows, 1):
        records.append(
            f"R|{index}|^^^{row.test}/1/not|{row.value}|{row.unit}||{row.flag}||{row.status}||{run.operator}|||E1"
        )
        if row.note != "0":
            records.append(f"C|1|I|{row.note}|I")
    return [*records, "L|1|N"]


def e411_query(specimen: str, number: int, is_cancel: bool) -> list[str]:
    """Host Interface Manual v2.3: status O, and A to withdraw."""
    return _cobas_query("cobas-e411", f"{specimen}^{number % 10_000}^0^5^^S1^SC", is_cancel)


def _cobas_query(sender: str, place: str, is_cancel: bool) -> list[str]:
    status = "A" if is_cancel else "O"
    return [rf"H|\^&|||{sender}^1|||||host|TSREQ^REAL|P|1", f"Q|1|^^{place}||ALL||||||||{status}", "L|1|N"]


# -- Vitros ----------------------------------------------------------------------------------------------------------


def vitros_run(rng: Random, number: int) -> Run:
    """Each test once, one of them now and then in two replicates."""
    tests = list(VITROS_TESTS)
    if rng.random() < 0.4:
        tests.insert(1, tests[0])
    rows = []
    for analyte in tests:
        row = drawn(rng, analyte)
        flags = {"L": "^1^", "H": "^2^"}.get(row.flag, r"^0^FRMN\^0^NR" if rng.random() < 0.2 else "^0^")
        rows.append(row._replace(flag=flags, status="V"))
    return Run(str(number), tuple(rows), number=number, operator="34001637")


def vitros_records(run: Run, finished: str, sent: str) -> list[str]:
    """The message of a Vitros."""
    codes = list(dict.fromkeys(row.test for row in run.rows))
    tests = "1.0000+" + "\\".join(f"{code}+1.0" for code in codes)
    action = "Q" if run.purpose == "control" else "N"
    return [
        rf"H|\^&|||5602030||||||||LIS2-A|{sent}",
        "P|1",
        f"O|1|{run.specimen}^3^5||^^^{tests}|R||{finished}||||{action}||||5||||||||||F",
        *(
            f"R|{index}|^^^1.0000+{row.test}+1.0|{row.value}|{row.unit}||{row.flag}||{row.status}||{run.operator}"
            f"|{finished}|{finished}|34001637"
            for index, row in enumerate(run.rows, 1)
        ),
        "L|1|N",
    ]


# -- GeneXpert -------------------------------------------------------------------------------------------------------


def xpert_run(rng: Random, number: int) -> Run:
    """MTB/RIF Ultra: the three results of the assay, each followed by its probes (84 rows or so)."""
    verdict = rng.choice(("NOT DETECTED", "DETECTED LOW", "DETECTED HIGH", "INVALID", "ERROR", "NO RESULT"))
    is_detected = verdict.startswith("DETECTED")
    resistance = rng.choice(("NOT DETECTED", "DETECTED", "INDETERMINATE")) if is_detected else ""
    sign_of_target = "POS" if is_detected else "INVALID" if verdict == "INVALID" else "NEG"
    rows: list[Row] = []
    for part, analyte, text in (
        ("Xpert", "MTB", verdict),
        ("Trace", "MTB Trace", ""),
        ("RIF", "RIF Resistance", resistance),
    ):
        rows.append(Row(f"^MTB-RIF^^{part}^Xpert MTB-RIF Ultra^4^{analyte}^", f"{text}^", "", note="main"))
        for probe in XPERT_PROBES:
            sign = "PASS" if probe == "SPC" else sign_of_target
            rows += _probe(rng, part, probe, sign)
        for melt in XPERT_MELTS if part == "RIF" else ():
            rows += _probe(rng, part, melt, "")
    return Run(f"PR{number}", tuple(rows), number=number, operator="A. OPERATOR")


def _probe(rng: Random, part: str, probe: str, sign: str) -> list[Row]:
    test = f"^MTB-RIF^^{part}^^^{probe}^"
    cycle = f"{rng.uniform(15, 40):.1f}" if sign in ("POS", "PASS") else "0.0"
    return [
        Row(test, f"{sign}^", "", "", ""),
        Row(f"{test}Ct", f"^{cycle}", "", "", ""),
        Row(f"{test}EndPt", f"^{rng.uniform(-5, 200):.1f}", "", "", ""),
    ]


def xpert_records(run: Run, finished: str, sent: str) -> list[str]:
    """The message of a GeneXpert Dx."""
    action = "Q" if run.purpose == "control" else ""
    records = [
        rf"H|@^\|URM-{run.number:08d}-06||LAB^GeneXpert^4.8|||||LIS||P|1394-97|{sent}",
        "P|1||||^^^^|||||||||||||||||||||",
        f"O|1|{run.specimen}||^^^MTB-RIF|R|{finished}|||||{action}||||ORH||||||||||F",
    ]
    for index, row in enumerate(run.rows, 1):
        if row.note == "main":
            records.append(
                f"R|{index}|{row.test}|{row.value}|||||{row.status}||{run.operator}|{finished}|{finished}"
                "|Cepheid-44413S0^806149^653624^831583371^56401^20270525"
            )
            records.append("C|1|I|Notes^^|I")
        else:
            records.append(f"R|{index}|{row.test}|{row.value}|||")
    return [*records, "L|1|N"]
