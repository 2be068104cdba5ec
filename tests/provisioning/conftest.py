"""What the tests of the commands share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import language
from tests.provisioning.ward import Ward


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    """A box with 10 events and 20 numerics in its spool, spoken to in English."""
    language.choose("en")
    made = Ward(tmp_path)
    made.fill()
    yield made
    language.choose("en")
