"""Exactly once: a session sent again makes no second result, a changed one a new version, wherever it was cut."""

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.observation import Result
from drivers.profile import Profile
from tests.contract.cases import wires
from tests.drivers.astm.wire import (
    END,
    ENQ,
    EOT,
    HEADER,
    ORDER,
    feed,
    frame,
    make,
    message,
    results_of,
    whole,
    whole_of,
)

PROFILES = [profile for profile in catalog.profiles("astm").values()]


@dataclass(frozen=True)
class Row:
    """What an analyzer measured: one thing, however often it says it."""

    specimen: int
    test: str
    value: str
    unit: str
    flag: str
    status: str
    minute: int

    def records(self) -> tuple[str, str]:
        """Its order and its result."""
        when = f"202601010758{self.minute:02d}"
        result = f"R|1|^^^{self.test}|{self.value}|{self.unit}||{self.flag}||{self.status}|||{when}|{when}"
        return f"O|1|S{self.specimen}||^^^{self.test}|R", result

    @property
    def content(self) -> tuple[object, ...]:
        """What is published of it; R and F say the same."""
        status = {"R": "F"}.get(self.status, self.status)
        return self.specimen, self.test, self.value, self.unit, self.flag, status, self.minute


ROWS = st.builds(
    Row,
    specimen=st.integers(1, 2),
    test=st.sampled_from(["GLU", "UREA"]),
    value=st.sampled_from(["5.5", "5.6", "<0.5", "NA", ""]),
    unit=st.sampled_from(["mmol/L", "mg/dL"]),
    flag=st.sampled_from(["N", "H"]),
    status=st.sampled_from("FRCPWX"),
    minute=st.integers(0, 2),
)
MESSAGES = st.lists(ROWS, min_size=1, max_size=4, unique_by=lambda row: row.content)


def frames_of(rows: list[Row], size: int) -> list[bytes]:
    """A message in frames of `size` bytes of text."""
    text = message(HEADER, *(record for row in rows for record in row.records()), END).encode()
    cuts = range(0, len(text), size)
    return [frame(n, text[at : at + size], b"\x17" if at < cuts[-1] else b"\x03") for n, at in enumerate(cuts, 1)]


@given(
    messages=st.lists(MESSAGES, min_size=1, max_size=4),
    sizes=st.lists(st.sampled_from([7, 60, 240, 60_000]), min_size=1, max_size=4),
    data=st.data(),
)
def test_sessions_sent_again_and_cut(messages: list[list[Row]], sizes: list[int], data: st.DataObject) -> None:
    """Each message is tried and cut a few times, goes through once, and comes again whole; the list comes twice."""
    driver, found = make(), list[Result]()
    for rows in messages * 2:
        frames = frames_of(rows, data.draw(st.sampled_from(sizes)))
        for _try in range(data.draw(st.integers(0, 2))):
            sent = frames[: data.draw(st.integers(0, len(frames) - 1))]
            end = data.draw(st.sampled_from([b"", EOT, b"\x02" + frames[-1][1:4] + EOT]))
            found += whole_of(feed(driver, [ENQ, *sent, end]))
        for _again in range(data.draw(st.integers(1, 2))):
            doubled = [piece for piece in frames for _ in range(data.draw(st.integers(1, 2)))]
            found += whole_of(feed(driver, [ENQ, *doubled, EOT]))
    expected = {row.content for rows in messages for row in rows}
    counted = Counter(seen.identity for seen in found)
    assert len(counted) == len(found) == len(expected), "each once, and each version"


@given(rows=MESSAGES)
def test_a_box_that_was_restarted_gives_the_same_identities(rows: list[Row]) -> None:
    """What it has forgotten comes again; the platform knows it by its identity."""
    first, second = (results_of(feed(make(), [ENQ, *frames_of(rows, 240), EOT])) for _box in range(2))
    assert first == second


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)
def test_every_session_of_the_test_data_sent_again(profile: Profile) -> None:
    for wire in wires(profile):
        driver = make(profile.name)
        first = results_of(feed(driver, [wire]))
        assert first
        assert results_of(feed(driver, [wire])) == [], "again whole"
        driver.start(50.0)
        assert results_of(feed(driver, [wire], 51.0)) == [], "again after the port was opened anew"


@pytest.mark.parametrize(
    "changed",
    [
        {"value": "5.6"},
        {"unit": "mg/dL"},
        {"flag": "H"},
        {"status": "C"},
        {"status": "W"},
        {"minute": 9},
        {"specimen": 2},
        {"test": "UREA"},
    ],
)
def test_what_makes_a_new_version(changed: dict[str, object]) -> None:
    told: dict[str, object] = {
        "specimen": 1,
        "test": "GLU",
        "value": "5.5",
        "unit": "mmol/L",
        "flag": "N",
        "status": "F",
        "minute": 0,
    }
    old, new = Row(**told), Row(**(told | changed))  # type: ignore[arg-type]
    driver = make()
    found = results_of(feed(driver, [whole(HEADER, *old.records(), END), whole(HEADER, *new.records(), END)]))
    assert len({seen.identity for seen in found}) == 2


@pytest.mark.parametrize("field", ["R|1|^^^GLU|5.5|||||F", "R|1|^^^GLU|5.5|||||F||OP2"])
def test_a_result_without_a_time_has_that_of_its_order_or_of_the_message(field: str) -> None:
    reported = ORDER + "|" * 17 + "20260101081000"
    driver = make()
    assert len(results_of(feed(driver, [whole("H|\\^&", reported, field, END)] * 2))) == 1
    assert len(results_of(feed(driver, [whole(HEADER, ORDER, field, END)] * 2))) == 1
