"""A driver's folder is complete; its README has its headings in order and its metrics as the profiles have them."""

import ast
import re

import pytest

from drivers import catalog
from tests.gates.sources import ROOT
from tools import matrix, metrics_table

HEADINGS = [
    "Devices and firmware",
    "Cable and pinout",
    "Settings on the device",
    "Frame",
    "Metrics",
    "Clock",
    "Known gaps",
    "Evidence",
]
DRIVERS = list(catalog.DRIVERS)


def _readme(driver: str) -> str:
    return (ROOT / "drivers" / driver / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("driver", DRIVERS)
def test_headings(driver: str) -> None:
    without_code = re.sub(r"^```.*?^```", "", _readme(driver), flags=re.M | re.S)
    assert re.findall(r"^## (.+?)\s*$", without_code, flags=re.M) == HEADINGS


@pytest.mark.parametrize("driver", DRIVERS)
def test_no_section_is_empty(driver: str) -> None:
    sections = re.split(r"^## .+$", _readme(driver), flags=re.M)[1:]
    assert all(section.strip() for section in sections)


@pytest.mark.parametrize("driver", DRIVERS)
def test_metrics_are_generated(driver: str) -> None:
    readme = _readme(driver)
    assert metrics_table.with_section(readme, metrics_table.section(driver)) == readme, "run make docs"
    assert readme.index("## Metrics") < readme.index(metrics_table.BEGIN) < readme.index("## Clock")


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_frame_is_drawn_and_its_document_named(driver: str) -> None:
    path = ROOT / "drivers" / driver / "driver.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert re.search(r"[│┌─]|\+--|\| .*\|", text), "the module docstring draws the frame as a box"
    assert re.search(r"§|[Ss]ection|[Cc]lause|[Cc]hapter|\bpage", text), "and names document and section"


def test_folders_and_catalog_agree() -> None:
    folders = {path.parent.name for path in (ROOT / "drivers").glob("*/profile.toml")}
    assert folders == set(catalog.DRIVERS)
    assert list(catalog.DRIVERS) == sorted(catalog.DRIVERS)


def test_every_changelog_fragment_has_one_line_or_more() -> None:
    for path in (ROOT / "changelog.d").glob("*.md"):
        assert path.read_text(encoding="utf-8").strip(), path.name


def test_decisions_are_numbered_without_a_hole() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_list_of_supported_devices_is_generated() -> None:
    assert matrix.PAGE.read_text(encoding="utf-8") == matrix.page(), "run make matrix"
