"""The tools that write generated files and judge coverage."""

import json
from pathlib import Path

import pytest
from babel.messages import Catalog

from tools import catalogues, coverage_floor, metrics_table


def _report(tmp_path: Path, covered: int) -> str:
    summary = {"covered_lines": covered, "covered_branches": 0, "num_statements": 90, "num_branches": 10}
    summary |= {"missing_lines": 90 - covered, "missing_branches": 10}
    path = tmp_path / "coverage.json"
    path.write_text(json.dumps({"files": {"drivers/a.py": {"summary": summary}}}), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(("floor", "ends"), [("85", 0), ("85.5", 1), ("95", 1)])
def test_a_floor_counts_lines_and_branches(tmp_path: Path, floor: str, ends: int) -> None:
    assert coverage_floor.main(_report(tmp_path, 85), [f"drivers={floor}"]) == ends


def test_a_package_that_was_not_measured_misses_its_floor(tmp_path: Path) -> None:
    assert coverage_floor.main(_report(tmp_path, 85), ["gateway=1"]) == 1


def test_a_merge_keeps_translations_adds_new_ones_and_drops_the_rest() -> None:
    template, ours, more = Catalog(), Catalog("fr"), Catalog("fr")
    for sentence in ("kept", "new", "doubtful", "untranslated"):
        template.add(sentence)
    ours.add("kept", "gardé")
    ours.add("gone", "parti")
    ours.add("doubtful", "incertain", flags=("fuzzy",))
    more.add("kept", "autre")
    more.add("new", "nouveau")
    merged = catalogues.merge(template, [ours, more])
    assert {str(m.id): m.string for m in merged if m.id and m.string} == {"kept": "gardé", "new": "nouveau"}
    assert catalogues.missing(merged) == ["doubtful", "untranslated"]


def test_sentences_are_found_where_they_are_marked() -> None:
    sentences = {m.id for m in catalogues.extract()}
    assert "COMMAND" in sentences
    assert "show this help message and exit" in sentences


def test_the_section_stands_between_its_markers() -> None:
    readme = f"before\n{metrics_table.BEGIN}\nold\n{metrics_table.END}\nafter\n"
    new = metrics_table.with_section(readme, "new\n")
    assert new == readme.replace("old", "new")
    with pytest.raises(metrics_table.NoMarkers):
        metrics_table.with_section("nothing here", "new")
