r"""Messages of analyzers that speak HL7 version 2: Mindray BC-5300, BC-5800 and BS-200, and GeneXpert.

    MSH|^~\&|BC-5300|Mindray|||time||ORU^R01|id|P|2.3.1||||||UNICODE
    OBR|1||specimen|00001^Automated Count^99MRC|…      OBX|7|NM|6690-2^WBC^LN||7.52|10*9/L|4.00-10.00|N|||F

Mindray BC: a control is `Q` in MSH-11; flags repeat (`L~A`); bitmaps are ED. BS: one test a message, MSH-16 says what
it is (0 patient, 2 control; a control's value stands in OBR). GeneXpert: ORU^R32^ORU_R30 of 2.5; only results of the
assay have a status; a control is `Q` in SPM-11. Shapes from public messages of these devices.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType
from typing import NamedTuple

from simulators.devices.lab_results import Analyte, Result, Row, Run, drawn

BC_TESTS = (
    ("6690-2^WBC^LN", Analyte("WBC", 2.0, 4.0, 10.0, 18.0, 2, "10*9/L")),
    ("731-0^LYM#^LN", Analyte("LYM#", 0.4, 0.8, 4.0, 6.0, 2, "10*9/L")),
    ("736-9^LYM%^LN", Analyte("LYM%", 8.0, 20.0, 40.0, 65.0, 1, "%")),
    ("770-8^NEU%^LN", Analyte("NEU%", 25.0, 50.0, 70.0, 88.0, 1, "%")),
    ("789-8^RBC^LN", Analyte("RBC", 2.9, 3.5, 5.5, 6.4, 2, "10*12/L")),
    ("718-7^HGB^LN", Analyte("HGB", 55, 110, 150, 185, 0, "g/L")),
    ("787-2^MCV^LN", Analyte("MCV", 60.0, 80.0, 100.0, 112.0, 1, "fL")),
    ("785-6^MCH^LN", Analyte("MCH", 17.0, 27.0, 34.0, 37.0, 1, "pg")),
    ("786-4^MCHC^LN", Analyte("MCHC", 260, 320, 360, 380, 0, "g/L")),
    ("788-0^RDW-CV^LN", Analyte("RDW-CV", 10.5, 11.0, 16.0, 23.0, 1, "%")),
    ("777-3^PLT^LN", Analyte("PLT", 20, 100, 300, 620, 0, "10*9/L")),
    ("32207-3^PDW^LN", Analyte("PDW", 8.0, 9.0, 17.0, 22.0, 1, "")),
    ("10002^PCT^99MRC", Analyte("PCT", 0.5, 1.08, 2.82, 4.0, 2, "mL/L")),
)
BC_SPANS = {
    code: f"{analyte.normal_low:.{analyte.decimals}f}-{analyte.normal_high:.{analyte.decimals}f}"
    for code, analyte in BC_TESTS
}
BC_BITMAPS = ("15008^WBC Histogram. BMP^99MRC", "15056^RBC Histogram. BMP^99MRC")
BS_TESTS = (
    Analyte("AST", 5, 7, 40, 300, 6, "U/L"),
    Analyte("ALT", 5, 7, 40, 300, 6, "U/L"),
    Analyte("GLU", 2, 3.9, 6.1, 25, 6, "mmol/L"),
    Analyte("CREA", 30, 44, 106, 900, 6, "umol/L"),
)
XPERT = "MTBXDR"
XPERT_RESULTS = (("INVALID", "INVALID&"), ("MTB", "MTB&"), ("INH-RES", "INH Resistance&"))
XPERT_PROBES = ("SPC-ahpC", "inhA-melt", "katG-melt")
RESULT_KINDS = ("NM", "SN", "ST")


class Stamp(NamedTuple):
    """What a message says of itself."""

    control_id: str
    time: str
    measured: str
    is_enhanced: bool = False


class Model(NamedTuple):
    """One device: who calls whom, how it writes, what it does when nobody answers."""

    role: str
    """client: it calls the box; server: the box calls it."""
    on_timeout: str
    """skip: the next message, this one is lost; resend: the same again."""
    heartbeat_s: float
    run: Callable[[Random, int], Run]
    segments: Callable[[Run, Stamp], list[str]]
    query: Callable[[str, Stamp], list[str]]
    habits: frozenset[str]


def header(
    app: str, kind: str, stamp: Stamp, processing: str = "P", *, version: str = "2.3.1", tail: str = ""
) -> str:
    """MSH; `app` is MSH-3 to MSH-6."""
    return rf"MSH|^~\&|{app}|{stamp.time}||{kind}|{stamp.control_id}|{processing}|{version}{tail}"


# -- Mindray BC ------------------------------------------------------------------------------------------------------


def bc_run(rng: Random, number: int) -> Run:
    """A count; flags sometimes in two."""
    rows = []
    for code, analyte in BC_TESTS:
        row = drawn(rng, analyte)._replace(test=code, note="NM")
        rows.append(row._replace(flag=f"{row.flag}~A") if rng.random() < 0.1 else row)
    return Run(str(number), tuple(rows), number=number)


def bc_segments(app: str) -> Callable[[Run, Stamp], list[str]]:
    """The message of a BC analyzer of this name."""

    def segments(run: Run, stamp: Stamp) -> list[str]:
        is_control = run.purpose == "control"
        out = [
            header(f"{app}|Mindray||", "ORU^R01", stamp, "Q" if is_control else "P", tail="||||||UNICODE"),
            "PID|1||^^^^MR",
            "PV1|1",
            f"OBR|1||{run.specimen}|00001^Automated Count^99MRC|||{stamp.measured}|||||||||||||||||HM||||||||Service",
            "OBX|1|IS|08001^Take Mode^99MRC||O||||||F",
            "OBX|2|IS|08002^Blood Mode^99MRC||W||||||F",
            "OBX|3|IS|08003^Test Mode^99MRC||CBC+DIFF||||||F",
        ]
        for row in run.rows:
            span = BC_SPANS.get(row.test, "")
            out.append(
                f"OBX|{len(out) - 3}|{row.note}|{row.test}||{row.value}|{row.unit}|{span}|{row.flag}|||{row.status}"
            )
        return out

    return segments


def bc_query(specimen: str, stamp: Stamp) -> list[str]:
    """The question for the orders of a specimen; an answer is wanted within 2 s (BC-5800)."""
    return [header("|||", "ORM^O01", stamp, tail="||||||UNICODE"), f"ORC|RF||{specimen}||IP"]


def bitmap_rows(number: int) -> list[Row]:
    """Two pictures, in base64."""
    rng = Random(number)  # noqa: S311
    return [
        Row(code, "^Image^BMP^Base64^" + base64.b64encode(b"BM" + rng.randbytes(900)).decode("ascii"), "", note="ED")
        for code in BC_BITMAPS
    ]


# -- Mindray BS ------------------------------------------------------------------------------------------------------


def bs_run(rng: Random, number: int) -> Run:
    """One test; each has a message of its own."""
    row = drawn(rng, rng.choice(BS_TESTS), low="Low", high="High", normal="Normal")
    return Run(str(number), (row._replace(note="NM"),), number=number)


def bs_segments(run: Run, stamp: Stamp) -> list[str]:
    """The message of a BS-200."""
    is_control = run.purpose == "control"
    out = [header("Mindray|BS-200||", "ORU^R01", stamp, tail=f"||||{'2' if is_control else '0'}||ASCII|||")]
    if is_control:
        row = run.rows[0]
        return [
            *out,
            f"OBR|1|1|{row.test}|Mindray^BS-200||{stamp.measured}|||||||{run.specimen}|LOT-1|20270101000000||M"
            f"|100.000000|3.500000|{row.value}|{row.unit}|||",
        ]
    out += ["PID|1" + "|" * 29, f"OBR|1||{run.specimen}|Mindray^BS-200|N||{stamp.measured}||||||||Serum" + "|" * 33]
    for index, row in enumerate(run.rows, 1):
        out.append(
            f"OBX|{index}|{row.note}|{row.test}|{row.test}|{row.value}|{row.unit}|7.000000-40.000000|{row.flag}|||"
            f"{row.status}||{row.value}|{stamp.measured}||||"
        )
    return out


def bs_query(specimen: str, stamp: Stamp) -> list[str]:
    """The question for the orders of a tube."""
    return [
        header("Mindray|BS-200||", "QRY^Q02", stamp, tail="||||||ASCII|||"),
        f"QRD|{stamp.time}|R|D|1|||RD|{specimen}|OTH|||T|",
        f"QRF|BS-200|{stamp.time}|{stamp.time}|||RCT|COR|ALL||",
    ]


# -- GeneXpert -------------------------------------------------------------------------------------------------------


def xpert_run(rng: Random, number: int) -> Run:
    """The results of an assay, each followed by its probes."""
    rows = []
    for name, shown in XPERT_RESULTS:
        text = rng.choice(("DETECTED", "NOT DETECTED", "NO RESULT", "ERROR", "INVALID"))
        rows.append(Row(f"{XPERT}&{name}&Xpert MTB-XDR&1", f"{text}^", "", note=shown))
        for probe in XPERT_PROBES:
            rows.append(Row(f"{XPERT}&{name}", rng.choice(("POS^", "NEG^", "NA^")), "", "", "", f"{probe}&"))
            rows.append(Row(f"{XPERT}&{name}", f"^{rng.uniform(0, 40):.1f}", "", "", "", f"{probe}&Ct"))
    return Run(f"GX{number}", tuple(rows), number=number)


def xpert_segments(run: Run, stamp: Stamp) -> list[str]:
    """The message of a GeneXpert."""
    tail = "|||AL|NE" if stamp.is_enhanced else ""
    out = [
        header("LAB^GeneXpert^6.5||LIS|", "ORU^R32^ORU_R30", stamp, version="2.5", tail=tail),
        "PID|1||||^^||||||",
        f"ORC|RE|1|||||||{stamp.measured}",
        f"OBR|1|||{XPERT}|||||||||||||||||||||F",
        f"TQ1|||||||{stamp.measured}|{stamp.time}|R",
    ]
    for index, row in enumerate(run.rows, 1):
        tail = f"||||||{row.status}|||||^A. OPERATOR||" if row.status else "||"
        out.append(f"OBX|{index}|ST|{row.test}|{row.note}|{row.value}{tail}")
    role = "Q" if run.purpose == "control" else "P"
    return [*out, f"SPM|1|{run.specimen}^||ORH|||||||{role}"]


def xpert_query(specimen: str, stamp: Stamp) -> list[str]:
    """The question for the orders of a specimen."""
    return [
        header("LAB^GeneXpert^6.5||LIS|", "QBP^Z03", stamp, version="2.5"),
        f"QPD|Z03^HOST QUERY|{stamp.control_id}||{specimen}",
        "RCP|I",
    ]


_ALL = {"rerun", "resent", "qc", "query"}
_STATUSES = {"corrected", "deleted", "wrong", "cannot"}
_VALUES = {"missing", "structured", "comma", "text"}
MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "mindray_bc5300": Model(
            "client", "skip", 0.0, bc_run, bc_segments("BC-5300"), bc_query,
            frozenset(_ALL | _STATUSES | _VALUES | {"images", "repeats"}),
        ),
        "mindray_bc5800": Model(
            "server", "skip", 3.0, bc_run, bc_segments("BC-5800"), bc_query,
            frozenset(_ALL | _STATUSES | _VALUES | {"images", "repeats"}),
        ),
        "mindray_bs200": Model(
            "client", "resend", 0.0, bs_run, bs_segments, bs_query, frozenset(_ALL | _STATUSES | _VALUES)
        ),
        "genexpert_hl7": Model(
            "client", "resend", 0.0, xpert_run, xpert_segments, xpert_query, frozenset(_ALL | _STATUSES)
        ),
    }
)  # fmt: skip
HABITS = tuple(sorted(_ALL | _STATUSES | _VALUES | {"images", "repeats"}))


# -- the ledger ------------------------------------------------------------------------------------------------------


def results_in(segments: list[str]) -> tuple[Result, ...]:
    """What a message holds, for the ledger; pictures and settings are no results."""
    fields = [(segment.split("|") + [""] * 24)[:48] for segment in segments]
    head = fields[0]
    order = next((one for one in fields if one[0] == "OBR"), [""] * 24)
    sample = next((one for one in fields if one[0] == "SPM"), None)
    is_control = head[10] == "Q" or head[15] == "2" or (sample is not None and sample[11] == "Q")
    purpose = "control" if is_control else "patient"
    if head[15] == "2":
        return (Result(order[13], order[3], order[20], order[6], "", "", order[21], purpose, order[13], order[3]),)
    field = sample[2] if sample else order[2] or order[3]
    found = []
    for one in fields:
        if one[0] != "OBX" or one[2] not in RESULT_KINDS:
            continue
        test = one[4].removesuffix("&") if sample else one[3].split("^", maxsplit=1)[0]
        test_field = f"{one[3]}|{one[4]}" if sample else one[3]
        found.append(
            Result(
                field.split("^", maxsplit=1)[0], test, one[5], order[7], one[11], one[8], one[6], purpose, field,
                test_field,
            )
        )  # fmt: skip
    return tuple(found)
