"""The analyzers that are played, each with the profile that is right for it, and how its ledger is compared.

A ledger is the simulator's own account, written by another hand than the driver: the text of every result as it was
sent. What the two name alike is compared; `said` is a result of the ledger, `seen` one of the driver.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from drivers.observation import Result as Seen
from simulators.devices.analyzer_messages import PROFILES
from simulators.devices.astm import Astm
from simulators.devices.astm_frames import FRAMINGS
from simulators.devices.catalog import SIMULATORS
from simulators.devices.hl7_lab import Hl7Lab
from simulators.devices.lab_results import Result as Said
from simulators.devices.simulator import Simulator

Key = tuple[str, ...]
Messages = Iterator[tuple[bytes, tuple[Said, ...], bool]]
"""Bytes, results, and whether the message was whole."""
COUNT = 4
_FINAL = re.compile(r"[VRQ]\Z")
"""ASTM: verified, sent before, an answer to a query: the same version as F (drivers/astm, `_STATUS`)."""
_REPEATS = re.compile(r"[\\`@~]")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
MINDRAY_SETTINGS = ("08001", "08002", "08003")
"""Take mode, blood mode, test mode: settings of the run, which a ledger of results does not have."""


def _flags(text: str) -> str:
    return "~".join(flag.strip() for flag in _REPEATS.split(text) if flag.strip())


def astm_said(said: Said) -> Key:
    """An R record."""
    status = _FINAL.sub("F", said.status)
    return said.specimen, said.test_field, said.value, said.completed, said.unit, _flags(said.flags), status


def c311_said(said: Said) -> Key:
    """Field 3 is `counter^id^…`: the ledger names the counter, the driver the id."""
    return (said.specimen_field.split("^")[1].strip(), *astm_said(said)[1:])


def astm_seen(seen: Seen) -> Key:
    """The same."""
    status, test = _FINAL.sub("F", seen.vendor_status), seen.vendor.text if seen.vendor else ""
    return seen.specimen, test, seen.text.strip(), seen.completed, seen.vendor_unit, "~".join(seen.flags), status


def hl7_said(said: Said) -> Key:
    """An OBX."""
    return said.specimen, said.test, said.value, said.completed, said.unit, _flags(said.flags), said.status


def hl7_seen(seen: Seen) -> Key:
    """The same."""
    flags = "~".join(seen.flags)
    return seen.specimen, seen.test, seen.text, seen.completed, seen.vendor_unit, flags, seen.vendor_status


def bs_seen(seen: Seen) -> Key:
    """A BS: without a bar code in OBR-2 there is only the analyzer's own number of the sample.

    Of a control the ledger has the name of the test, the driver its number, and both in a comment.
    """
    told = next((comment for comment in seen.comments if comment.startswith("OBX-3 ")), "")
    test = told.partition("|")[2] if seen.purpose == "qc" else seen.test
    return (seen.specimen or seen.run, test, *hl7_seen(seen)[2:])


def xpert_said(said: Said) -> Key:
    """OBX-3 and OBX-4 are the test; when it was completed stands in TQ1, which the ledger does not read."""
    return said.specimen, said.test_field, said.value, "", said.unit, _flags(said.flags), said.status


def xpert_seen(seen: Seen) -> Key:
    """The same; a test that no row knows stands as it was sent in a comment."""
    sent = next((comment[6:] for comment in seen.comments if comment.startswith("OBX-3 ")), seen.test)
    return seen.specimen, sent, seen.text, "", seen.vendor_unit, "~".join(seen.flags), seen.vendor_status


def bci_said(said: Said) -> Key:
    """A block of a VIDAS; where it has no number its text is what it says."""
    return said.specimen, said.test, said.value or said.flags, said.completed, said.flags


def bci_seen(seen: Seen) -> Key:
    """The same."""
    return seen.specimen, seen.test, seen.text, seen.device_time, "".join(seen.flags)


def abx_said(said: Said) -> Key:
    """A field of a Micros 60."""
    return said.specimen, said.test_field, said.value.strip(), "", said.flags


def abx_seen(seen: Seen) -> Key:
    """The same."""
    return seen.specimen, seen.test, seen.text.strip(), "", "".join(seen.flags)


def kx_said(said: Said) -> Key:
    """Four digits and a flag."""
    return said.specimen, said.test[:3] if said.test.startswith("RDW") else said.test, said.test_field[:4], ""


def kx_seen(seen: Seen) -> Key:
    """The same; RDW is one column, of which the site says what it is."""
    return seen.specimen, seen.test[:3] if seen.test.startswith("RDW") else seen.test, seen.text, ""


def bc_said(said: Said) -> Key:
    """A column of digits; MM DD YYYY is read as a date."""
    day = said.completed
    return said.specimen, said.test, said.test_field, day[4:8] + day[:4] + day[8:]


def bc_seen(seen: Seen) -> Key:
    """The same."""
    return seen.specimen, seen.test, seen.text, seen.completed


def au_said(said: Said) -> Key:
    """A test of an AU."""
    return said.specimen, said.test, said.value, "", said.flags


def au_seen(seen: Seen) -> Key:
    """The same."""
    return seen.specimen, seen.test.zfill(2), seen.text.strip(), "", "".join(seen.flags)


def _of_astm(simulator: Simulator) -> Messages:
    for one in cast(Astm, simulator).deliveries:
        yield one.message, one.results, one.is_whole


def _of_hl7(simulator: Simulator) -> Messages:
    for one in cast(Hl7Lab, simulator).letters:
        yield one.data, one.results, True


def _of_queue(simulator: Any) -> Messages:
    for data, *_, results in simulator._queue:
        yield data, (results,) if isinstance(results, Said) else results, True


def _of_pending(simulator: Any) -> Messages:
    if simulator._pending is not None:
        data, *_, results = simulator._pending
        yield data, results, True


def _of_history(simulator: Any) -> Messages:
    """It says each message once and waits for nothing."""
    for number, told in enumerate(simulator.history):
        yield b"%d" % number, told.results, True


@dataclass(frozen=True)
class Analyzer:
    """A simulator, the profile and options for it, and how to compare."""

    name: str
    simulator: str
    profile: str
    said: Callable[[Said], Key]
    seen: Callable[[Seen], Key]
    made: Callable[[Simulator], Messages]
    """All that it has made so far and may still be sending."""
    options: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Options of the simulator that are drawn for each run."""
    driver_options: Mapping[str, Any] = field(default_factory=dict)
    driver_choices: Mapping[str, str] = field(default_factory=dict)
    """Option of the driver that follows a drawn option of the simulator."""
    habits: str = "all"
    unseen: frozenset[str] = frozenset()
    """Faults that nobody could see: a flipped bit without a checksum."""
    hears: bool = True
    """It waits for a word, and keeps what it was not told to be safe."""
    is_scaled: bool = False
    """Digits are sent without their point."""
    settings: tuple[str, ...] = ()
    """Tests that the driver gives out and that are no results for the ledger."""

    @property
    def driver(self) -> str:
        """The driver of its profile."""
        return self.profile.partition("/")[0]

    def make(self, seed: int, chance: random.Random) -> Simulator:
        """One of it, with all its faults and habits."""
        made = SIMULATORS[self.simulator]
        drawn = {name: chance.choice(values) for name, values in self.choices.items()}
        options = {
            "every_s": chance.choice(("1", "4", "20")),
            "count": str(COUNT),
            "fault_rate": chance.choice(("0.02", "0.1", "0.25")),
            "silence_s": chance.choice(("2", "8", "35")),
            "habits": self.habits if chance.random() < 0.8 else "",
            **self.options,
            **drawn,
        }
        faults = frozenset(made.FAULTS) - self.unseen
        if {"lost_ack", "frame_gap"} <= faults:
            # A frame that was accepted and comes again under the next number is the next frame: nobody could see it.
            faults -= {chance.choice(("lost_ack", "frame_gap"))}
        return made(seed, faults, options)

    def has_number(self, text: str, value: Decimal) -> bool:
        """Whether the value stands in the text, with the digits that were sent."""
        if self.is_scaled:
            return re.sub(r"\D", "", text).lstrip("0") == str(value).replace(".", "").lstrip("0")
        return abs(value) in map(Decimal, _NUMBER.findall(text))


ASTM_CHOICES = {
    "framing": ("", "", "", *FRAMINGS),
    "checksum": ("upper", "upper", "lower"),
    "frame_end": ("crlf", "crlf", "cr", "lf", "none"),
    "eot": ("yes", "yes", "no"),
    "honour_interrupt": ("no", "yes"),
}
ASTM = tuple(
    Analyzer(
        f"astm-{model}",
        "astm",
        f"astm/{model}",
        c311_said if model == "cobas_c311" else astm_said,
        astm_seen,
        _of_astm,
        {"model": model},
        ASTM_CHOICES,
    )
    for model in PROFILES
)
_HL7 = {
    "mindray_bc5300": "mindray_bc",
    "mindray_bc5800": "mindray_bc",
    "mindray_bs200": "mindray_bs",
    "genexpert_hl7": "genexpert",
}
ANSWERED_TWICE = frozenset({"duplicate"})
"""Two copies get two answers, and nothing in them tells which is for which: the simulator takes the second for the
answer to what it says next, and believes safe what was never heard."""
HL7_SAID = {"genexpert": xpert_said}
HL7_SEEN = {"genexpert": xpert_seen, "mindray_bs": bs_seen}
HABITS_WITHOUT_QUERY = ",".join(habit for habit in Hl7Lab.HABITS if habit != "query")
"""The two hands do not agree on the polite `no order` of a GeneXpert (QAK-2 `OK`, or `NF`)."""
FLIPPED = frozenset({"flipped_bit"})
HL7 = tuple(
    Analyzer(
        f"hl7_lab-{model}",
        "hl7_lab",
        f"hl7_lab/{profile}",
        HL7_SAID.get(profile, hl7_said),
        HL7_SEEN.get(profile, hl7_seen),
        _of_hl7,
        {"model": model},
        {
            "line_end": ("cr", "cr", "lf", "crlf"),
            "charset": ("utf-8", "latin-1"),
            "batch": ("1", "1", "3"),
            "ack_mode": ("original", "enhanced"),
            "resend_all_s": ("0", "60"),
        },
        habits=HABITS_WITHOUT_QUERY if model == "genexpert_hl7" else "all",
        unseen=FLIPPED,
        settings=MINDRAY_SETTINGS,
    )
    for model, profile in _HL7.items()
)
_AU_LAYOUT = {
    "specimen": (13, 10),
    "sample": (9, 4),
    "block": -1,
    "tests": 23,
    "width": 10,
    "code": (0, 2),
    "value": (2, 6),
    "marks": (8, 2),
}
FORMATS = (
    Analyzer(
        "biomerieux_bci",
        "biomerieux_bci",
        "biomerieux_bci/vidas",
        bci_said,
        bci_seen,
        _of_queue,
        choices={"language": ("fr", "fr_ascii", "en"), "date": ("mdy", "dmy")},
        driver_choices={"date": "date_order"},
        unseen=ANSWERED_TWICE,
    ),
    Analyzer(
        "horiba_abx",
        "horiba_abx",
        "horiba_abx/micros_60",
        abx_said,
        abx_seen,
        _of_history,
        {"specimen_field": "u"},
        {"envelope": ("no", "yes"), "curves": ("no", "yes")},
        unseen=FLIPPED | {"byte_by_byte"},  # a restart cuts a block that trickles, and the ledger has it as sent
        hears=False,
    ),
    Analyzer(
        "sysmex_kx",
        "sysmex_kx",
        "sysmex_kx/kx_21",
        kx_said,
        kx_seen,
        _of_pending,
        {"class": "B"},
        driver_options={"protocol_class": "B"},
        is_scaled=True,
        unseen=FLIPPED,
    ),
    Analyzer(
        "mindray_bc_serial",
        "mindray_bc_serial",
        "mindray_bc_serial/bc_3000_plus",
        bc_said,
        bc_seen,
        _of_pending,
        {"handshake": "yes"},
        {"point": ("yes", "no")},
        habits="missing,rerun",  # what a control looks like is not known: it is counted, and not read
        is_scaled=True,
        unseen=FLIPPED,
    ),
    Analyzer(
        "beckman_au",
        "beckman_au",
        "beckman_au/au",
        au_said,
        au_seen,
        _of_queue,
        {"replies": "yes"},
        driver_options={"protocol_class": "B", "result": _AU_LAYOUT, "control": _AU_LAYOUT},
        unseen=ANSWERED_TWICE,
    ),
)
ANALYZERS = (*ASTM, *HL7, *FORMATS)
