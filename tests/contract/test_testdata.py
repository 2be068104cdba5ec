"""Every folder of test data, replayed: what the driver says is what expected.jsonl holds, byte for byte."""

import re

import pytest

from drivers import catalog
from drivers.observation import to_json
from drivers.profile import Profile
from tests.contract.cases import Case, cases, cases_of, profiles
from tests.contract.play import walk

ORIGIN = re.compile(r"^\W*origin: *.*(document example|capture|simulator)", re.M)


@pytest.mark.parametrize("case", cases(), ids=str)
def test_walk(case: Case) -> None:
    driver = catalog.create(case.profile, case.options, strict=False)
    said = walk(driver, case.received())
    assert [to_json(o).decode() for o in said.observations] == case.expected()


@pytest.mark.parametrize("case", cases(), ids=str)
def test_notes_name_the_origin(case: Case) -> None:
    assert ORIGIN.search((case.folder / "notes.md").read_text(encoding="utf-8"))


BEYOND_SKETCH = [profile for profile in profiles() if profile.tier != "sketch"]


@pytest.mark.parametrize("profile", BEYOND_SKETCH, ids=lambda p: f"{p.driver}-{p.name}")
def test_evidence_beyond_a_sketch_is_here(profile: Profile) -> None:
    assert cases_of(profile), "a profile of tier bench or higher has test data of its own"
