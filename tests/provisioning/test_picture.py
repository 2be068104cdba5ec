"""The picture fits into a small terminal: fewer values, never without the platform's line."""

from decimal import Decimal

import pytest
from rich.console import Console

from drivers.observation import Numeric, Result, Vendor
from provisioning.attach import Seen
from provisioning.picture import Board, describe

DEVICES = ("vent", "labo", "gen")
LANES = ("event", "numeric", "wave", "log")
STATUS = {
    "devices": {name: {"connection": "connected", "observations": 9, "why": ""} for name in DEVICES},
    "depth": {},
    "committed": dict.fromkeys(LANES, 3),
    "uplink": {"connected": False, "last_error": "nobody is there"},
}


def drawn(width: int, height: int) -> list[str]:
    board = Board({})
    board.take(Seen(status=STATUS))
    for name in DEVICES:
        for number in range(20):
            vendor = Vendor(f"value-{number}-with-a-long-name-that-would-be-folded-over-two-rows", "1")
            value = Numeric(
                device=name, value=Decimal(1), unit="1", validity="valid", category="measurement", vendor=vendor
            )
            board.take(Seen(observation=value))
    board.notes += [f"{number} s  something happened" for number in range(9)]
    console = Console(width=width, height=height, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(board.render(height))
    return capture.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (100, 30), (60, 20)])
def test_it_fits(width: int, height: int) -> None:
    rows = drawn(width, height)
    assert len(rows) <= height
    text = "\n".join(rows)
    assert all(word in text for word in (*DEVICES, *LANES, "nobody is there", "8 s  something"))


def test_a_large_terminal_shows_more() -> None:
    assert sum("value-" in row for row in drawn(120, 50)) == 21
    assert 3 <= sum("value-" in row for row in drawn(120, 24)) < 21


def test_the_last_value_of_a_dead_link_is_gone_and_a_result_stays() -> None:
    board = Board({})
    value = Numeric(
        device="vent",
        value=Decimal(97),
        unit="%",
        validity="valid",
        category="measurement",
        vendor=Vendor("EB", "97"),
    )
    result = Result(
        device="labo",
        specimen="S1",
        test="GLU",
        value=Decimal("5.4"),
        status="final",
        identity="x",
        validity="valid",
        vendor=Vendor("GLU", "5.4"),
    )
    down = {name: {"connection": "disconnected", "observations": 1, "why": "gone"} for name in ("vent", "labo")}
    board.take(Seen(observation=value))
    board.take(Seen(observation=result))
    board.take(Seen(status=STATUS | {"devices": down}))
    console = Console(width=100, height=30, force_terminal=False)
    with console.capture() as capture:
        console.print(board.render(30))
    assert "97" not in capture.get()
    assert "5.4" in capture.get()


def test_two_pumps_of_one_rack_stand_beside_each_other() -> None:
    board = Board({})
    board.take(Seen(status=STATUS))
    for mds, rate in (("11", "5.00"), ("12", "7.50")):
        value = Numeric(
            device="vent",
            value=Decimal(rate),
            unit="mL/h",
            validity="valid",
            category="measurement",
            vendor=Vendor("INRT", rate),
            mds=mds,
        )
        board.take(Seen(observation=value))
    console = Console(width=100, height=30, force_terminal=False)
    with console.capture() as capture:
        console.print(board.render(30))
    assert "11  5.00 mL/h" in capture.get()
    assert "12  7.50 mL/h" in capture.get()


def test_a_narrow_column_cuts_the_name_and_never_the_doubt() -> None:
    doubted = Numeric(
        device="v",
        value=Decimal("97.0"),
        unit="%",
        validity="questionable",
        reason="line_noise",
        category="measurement",
    )
    assert describe(doubted, "Oxygen") == "97.0 % (questionable: line_noise)  Oxygen"


@pytest.mark.parametrize(
    ("answer", "value", "shown"),
    [
        ("NON DÉTECTÉ", None, "NON DÉTECTÉ"),
        ("HIV-1 DETECTED", Decimal(1520), "HIV-1 DETECTED 1520"),
        ("", Decimal("5.5"), "5.5"),
        ("", None, "—"),
    ],
)
def test_a_result_in_words_is_shown_as_the_analyzer_said_it(answer: str, value: Decimal | None, shown: str) -> None:
    seen = Result(
        validity="valid",
        specimen="S1",
        test="T",
        value=value,
        answer=answer,
        status="final",
        identity="0",
        device="x",
    )
    assert describe(seen, "Test") == f"S1  {shown}   Test [final]"
