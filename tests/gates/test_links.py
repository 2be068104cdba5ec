"""Every local link in a page leads somewhere, and the two READMEs lead to the same places."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("drivers/**/*.md")]
    if ".venv" not in page.parts
)


def local_links(page: Path) -> list[str]:
    return [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    missing = [link for link in local_links(page) if not (page.parent / link).exists()]
    assert not missing


def test_both_readmes_lead_to_the_same_places() -> None:
    english, french = (set(local_links(ROOT / name)) for name in ("README.md", "README.fr.md"))
    english, french = english - {"README.fr.md"}, french - {"README.md"}
    assert english == {link.replace(".fr.md", ".md") for link in french}
