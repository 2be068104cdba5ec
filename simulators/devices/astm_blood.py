r"""How the blood counters write E1394: Sysmex XP and XN-L, Horiba Pentra and Yumizen H500.

`sysmex_xp`: XP-100/300 (ASTM specification 1.0, 2012). Sample id in the third component of field 4, padded on the
left to 15 characters; test `^^^^WBC^1`; values padded to 5 characters; flag A with a masked value `***.*`, flag W for
an unreliable one; field 9 (status) empty; operator padded on the right to 15.
`sysmex_xn_l`: XN-L (a public recording of an XN-550, senaite.astm). Sample id padded to 22; status F; suspicions as
results with flag A and no value, or a score of 0 to 100 and no flag; names of pictures as values; a record a frame in
that recording (the protocol page says one frame, as the XP: `framing=whole`). Its `----` is inferred.
`horiba_pentra`: Pentra 60/80/XLR (a public recording, the same source). Code and a LOINC that is not to be trusted
(RBC^789-9 fails its check digit); status W for a whole differential, X with `-----`; alarms in C behind the first R.
`horiba_yumizen`: H500 (a public recording, the same source). Header field 12 is Q for a control; ranges
`lo - hi^REFERENCE_RANGE`; M records of base64, one of about 20 kB; no time in field 13.
"""

from __future__ import annotations

import base64
import zlib
from random import Random

from simulators.devices.lab_results import BLOOD_COUNT, Analyte, Row, Run, drawn, panel

SYSMEX_TESTS = (
    *BLOOD_COUNT,
    Analyte("LYM%", 8.0, 20.0, 45.0, 65.0, 1, "%"),
    Analyte("MXD%", 1.0, 3.0, 15.0, 22.0, 1, "%"),
    Analyte("NEUT%", 25.0, 40.0, 70.0, 88.0, 1, "%"),
    Analyte("LYM#", 0.4, 1.0, 4.0, 6.0, 1, "10*3/uL"),
    Analyte("MXD#", 0.1, 0.2, 1.5, 2.4, 1, "10*3/uL"),
    Analyte("NEUT#", 0.8, 2.0, 7.0, 14.0, 1, "10*3/uL"),
    Analyte("RDW-SD", 33.0, 37.0, 54.0, 70.0, 1, "fL"),
    Analyte("RDW-CV", 10.5, 11.0, 16.0, 23.0, 1, "%"),
    Analyte("PDW", 8.0, 9.0, 17.0, 22.0, 1, "fL"),
    Analyte("MPV", 7.5, 9.0, 13.0, 14.0, 1, "fL"),
    Analyte("P-LCR", 10.0, 13.0, 43.0, 50.0, 1, "%"),
    Analyte("PCT", 0.05, 0.17, 0.35, 0.50, 2, "%"),
)
XN_TESTS = (
    *(analyte._replace(decimals=2) if analyte.test == "WBC" else analyte for analyte in BLOOD_COUNT),
    Analyte("NEUT%", 25.0, 40.0, 70.0, 88.0, 1, "%"),
    Analyte("LYMPH%", 8.0, 20.0, 45.0, 65.0, 1, "%"),
    Analyte("MONO%", 1.0, 3.0, 12.0, 22.0, 1, "%"),
    Analyte("EO%", 0.0, 0.5, 6.0, 22.0, 1, "%"),
    Analyte("BASO%", 0.0, 0.0, 1.0, 2.0, 1, "%"),
    Analyte("NEUT#", 0.8, 2.0, 7.0, 14.0, 2, "10*3/uL"),
    Analyte("LYMPH#", 0.4, 1.0, 4.0, 6.0, 2, "10*3/uL"),
    Analyte("IG%", 0.0, 0.0, 0.6, 2.0, 1, "%"),
    Analyte("RDW-SD", 33.0, 37.0, 54.0, 70.0, 1, "fL"),
    Analyte("RDW-CV", 10.5, 11.0, 16.0, 23.0, 1, "%"),
    Analyte("MPV", 7.5, 9.0, 13.0, 14.0, 1, "fL"),
)
XN_SUSPICIONS = ("Blasts/Abn_Lympho?", "Left_Shift?", "Atypical_Lympho?", "NRBC?", "PLT_Clumps?")
XN_PICTURES = (("SCAT_WDF", "WDF"), ("DIST_RBC", "RBC"), ("DIST_PLT", "PLT"))
PENTRA_LOINC = {
    "WBC": "804-5", "LYM#": "731-0", "LYM%": "736-9", "MON#": "742-7", "MON%": "744-3", "NEU#": "751-8",
    "NEU%": "770-8", "BAS#": "704-7", "BAS%": "706-2", "RBC": "789-9", "HGB": "717-9", "HCT": "4544-3",
    "MCV": "787-2", "MCH": "785-6", "MCHC": "786-4", "PLT": "777-3",
}  # fmt: skip
PENTRA_DIFFERENTIAL = (
    Analyte("LYM#", 0.4, 1.0, 4.0, 6.0, 2, "1"),
    Analyte("LYM%", 8.0, 20.0, 45.0, 65.0, 1, "1"),
    Analyte("MON#", 0.1, 0.2, 1.0, 2.0, 2, "1"),
    Analyte("MON%", 1.0, 3.0, 12.0, 22.0, 1, "1"),
    Analyte("NEU#", 0.8, 2.0, 7.0, 14.0, 2, "1"),
    Analyte("NEU%", 25.0, 40.0, 70.0, 88.0, 1, "1"),
    Analyte("BAS#", 0.0, 0.0, 0.2, 0.4, 2, "1"),
    Analyte("BAS%", 0.0, 0.0, 2.0, 4.0, 1, "1"),
)
YUMIZEN_TESTS = (
    ("MCV", "787-2", 60.0, 76.0, 100.0, 112.0, 1, "um3"),
    ("NEU#", "751-8", 0.8, 1.6, 7.0, 14.0, 2, "10E3/uL"),
    ("NEU%", "770-8", 25.0, 40.0, 73.0, 88.0, 1, "%"),
    ("RDW-CV", "788-0", 9.0, 11.0, 17.0, 23.0, 1, "%"),
    ("MPV", "32623-1", 6.5, 8.0, 11.0, 14.0, 1, "um3"),
    ("RBC", "789-8", 2.9, 3.8, 6.0, 6.4, 2, "10E6/uL"),
    ("MON#", "742-7", 0.0, 0.1, 0.8, 2.0, 2, "10E3/uL"),
    ("PLT", "777-3", 20.0, 150.0, 400.0, 620.0, 0, "10E3/uL"),
    ("WBC", "6690-2", 2.0, 4.0, 11.0, 18.0, 2, "10E3/uL"),
    ("LYM#", "731-0", 0.4, 1.0, 4.0, 6.0, 2, "10E3/uL"),
    ("HGB", "718-7", 5.5, 11.5, 17.0, 18.5, 1, "g/dL"),
    ("MCH", "785-6", 17.0, 27.0, 34.0, 37.0, 1, "pg"),
    ("MCHC", "786-4", 26.0, 32.0, 36.0, 38.0, 1, "g/dL"),
    ("HCT", "4544-3", 20.0, 35.0, 50.0, 55.0, 1, "%"),
    ("EOS#", "711-2", 0.0, 0.02, 0.6, 2.0, 2, "10E3/uL"),
    ("BAS#", "704-7", 0.0, 0.0, 0.2, 0.5, 2, "10E3/uL"),
)
MATRIX_POINTS = 5000
"""Floats in the picture of a Yumizen: about 20 kB once packed and written in base64."""


# -- Sysmex XP -------------------------------------------------------------------------------------------------------


def xp_run(rng: Random, number: int) -> Run:
    """All twenty; now and then a masked or unreliable one, now and then a control."""
    is_control = rng.random() < 0.05
    operator, attribute = rng.choice(("", "NADIA")), rng.choice("MAB")
    rows = []
    for analyte in SYSMEX_TESTS:
        row = drawn(rng, analyte)
        chance = rng.random()
        if chance < 0.03:
            digits = analyte.decimals
            row = row._replace(flag="A", value=f"{'*' * (4 - digits)}.{'*' * digits}" if digits else "*****")
        elif chance < 0.10:
            row = row._replace(flag="W")
        rows.append(row._replace(status=""))
    return Run(str(number), tuple(rows), "control" if is_control else "patient", number, operator, attribute)


def xp_records(run: Run, finished: str, sent: str) -> list[str]:
    """The message of a Sysmex XP."""
    del sent  # the XP's header has no time
    tests = "\\".join(f"^^^^{row.test}" for row in run.rows)
    action = "Q" if run.purpose == "control" else "N"
    return [
        r"H|\^&|||XP-100^00-07^^^^A1573^AP807129||||||||E1394-97",
        "P|1",
        f"O|1||^^{run.specimen:>15}^{run.attribute}|{tests}|||||||{action}||||||||||||||F",
        *(
            f"R|{index}|^^^^{row.test}^1|{row.value:>5}|{row.unit}||{row.flag}||{row.status}||{run.operator:15}||{finished}"
            for index, row in enumerate(run.rows, 1)
        ),
        "L|1|N",
    ]


# -- Sysmex XN-L -----------------------------------------------------------------------------------------------------


def xn_run(rng: Random, number: int) -> Run:
    """Counts, suspicions and pictures; a suspicion is no measurement."""
    rows = list(panel(rng, XN_TESTS))
    rows += [Row("Anemia", "", "", "A")] if rng.random() < 0.3 else []
    rows += [Row(name, str(rng.randrange(0, 101, 10)), "", "") for name in XN_SUSPICIONS]
    rows += [Row("Positive_Diff", "", "", "A")] if rng.random() < 0.5 else []
    rows += [Row(name, picture, "", "N", note="picture") for name, picture in XN_PICTURES]
    return Run(str(number), tuple(rows), number=number, attribute=rng.choice("MAB"))


def xn_records(run: Run, finished: str, sent: str) -> list[str]:
    """The message of a Sysmex XN-L."""
    del sent
    tests = "\\".join(f"^^^^{analyte.test}" for analyte in XN_TESTS)
    action = "Q" if run.purpose == "control" else "N"
    records = [
        r"H|\^&|||    XN-550^00-24^22723^^^^BD634545||||||||E1394-97",
        "P|1",
        "C|1||",
        f"O|1||^^{run.specimen:>22}^{run.attribute}|{tests}|||||||{action}||||||||||||||F",
        "C|1||",
    ]
    day, time = finished[:8], f"{finished[:4]}_{finished[4:6]}_{finished[6:8]}_{finished[8:10]}_{finished[10:12]}"
    counted = {analyte.test for analyte in XN_TESTS}
    for index, row in enumerate(run.rows, 1):
        value = row.value
        if row.note == "picture":
            value = f"PNG&R&{day}&R&{time}_{finished[12:]}_{row.value}.PNG"
        test = f"^^^^{row.test}^1" if row.test in counted else f"^^^^{row.test}"
        records.append(f"R|{index}|{test}|{value}|{row.unit}||{row.flag}||{row.status}||||{finished}")
    return [*records, "C|1||", "L|1|N"]


# -- Horiba ----------------------------------------------------------------------------------------------------------


def pentra_run(rng: Random, number: int) -> Run:
    """Counts and a differential that is doubtful as a whole one time in three."""
    counts = list(panel(rng, (analyte._replace(unit="1") for analyte in BLOOD_COUNT), normal=""))
    differential = list(panel(rng, PENTRA_DIFFERENTIAL, normal=""))
    if rng.random() < 0.34:
        differential = [row._replace(status="W") for row in differential]
        for index in (-2, -1):
            differential[index] = differential[index]._replace(value="-----", status="X")
        counts[0] = counts[0]._replace(status="W", note="alarm")
    return Run(str(number), (counts[0], *differential, *counts[1:]), number=number)


def pentra_records(run: Run, finished: str, sent: str) -> list[str]:
    """The message of a Pentra."""
    action = "Q" if run.purpose == "control" else ""
    records = [
        rf"H|\^&|||ABX|||||||P|E1394-97|{sent}",
        "P|1||||^|||U",
        f"O|1|{run.specimen}^00^00||^^^DIF|||||||{action}||||Standard||||||||||F",
    ]
    for index, row in enumerate(run.rows, 1):
        records.append(
            f"R|{index}|^^^{row.test}^{PENTRA_LOINC[row.test]}^1|{row.value}|{row.unit}||{row.flag}||{row.status}"
            f"||NNE NNEMT||{finished}"
        )
        if row.note == "alarm":
            records.append("C|1|I|Alarm_WBC^LMNE-^BASO+^LL^NL^LN^NO^SL1|I")
            records.append("C|2|I|LARGE IMMATURE CELL^NRBCs|I")
    return [*records, "L|1|N"]


def yumizen_run(rng: Random, number: int) -> Run:
    """Counts in the order of the recording, each with its own status."""
    rows = []
    for test, _loinc, low, normal_low, normal_high, high, decimals, unit in YUMIZEN_TESTS:
        row = drawn(rng, Analyte(test, low, normal_low, normal_high, high, decimals, unit))
        rows.append(row._replace(status="W" if rng.random() < 0.15 else "F"))
    return Run(str(number), tuple(rows), number=number)


def yumizen_records(run: Run, finished: str, sent: str) -> list[str]:
    """The message of a Yumizen H500, with the picture of its matrix."""
    is_control = run.purpose == "control"
    specimen_kind = "CTRL^^CTRL MEDIUM" if is_control else "BLOOD"
    records = [
        rf"H|\^&|||H500^910YOXH02826^2.2.2.2b|||||||{'Q' if is_control else 'P'}|LIS2-A2|{sent}",
        "P|1" + "|" * 34,
        f"O|1|{run.specimen}||^^^DIF|R|{finished}|||||||||{specimen_kind}||||||||||F|||||",
    ]
    if any(row.status == "W" for row in run.rows):
        records.append(r"C|1|I|NON_COMPLIANT_DATA^WBC^ABNORMAL_DIFFERENTIA\SUSPECTED_PATHOLOGY^^LYMPHOPENIA|I")
    kind = "FLOATLE-stream/deflate:base64^"
    records += [
        f"M|1|HISTOGRAM|RBC/PLT|RbcAlongRes|{kind}{_packed(run.number, 16)}|{kind}{_packed(run.number + 1, 64)}",
        f"M|2|MATRIX|LMNE|LMNEResAbs|{kind}{_packed(run.number, 8)}|{kind}{_packed(run.number + 2, MATRIX_POINTS)}",
        r"M|3|REAGENT|CLEANER\DILUENT\LYSE|"
        r"221114I1*^20230317000000^20230617\220729H1^20230322000000^20230729\221026M11^20230327000000^20230527",
    ]
    for index, (row, known) in enumerate(zip(run.rows, YUMIZEN_TESTS, strict=True), 1):
        _test, loinc, _low, normal_low, normal_high, _high, decimals, _unit = known
        span = f"{normal_low:.{decimals}f} - {normal_high:.{decimals}f}^REFERENCE_RANGE"
        records.append(
            f"R|{index}|^^^{row.test}^{loinc}|{row.value}|{row.unit}|{span}|{row.flag}||{row.status}"
            f"||MATYL^^USER|{finished}||"
        )
    return [*records, "L|1|N"]


def _packed(seed: int, count: int) -> str:
    """So many floats as the device packs a picture; the same for the same specimen."""
    floats = bytearray(Random(seed).randbytes(4 * count))  # noqa: S311
    floats[3::4] = b"\x3f" * count  # the exponent: each lies between 0.5 and 2
    return base64.b64encode(zlib.compress(floats)).decode("ascii")
