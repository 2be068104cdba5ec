"""Everything here needs a file system of its own; where there can be none, it says why and skips."""

import pytest

from tests.powercut.device import missing


@pytest.fixture(scope="session", autouse=True)
def needs_a_device() -> None:
    """Root, /dev/fuse, a loop device, ext4 and its tools."""
    if reason := missing():
        pytest.skip(f"no recording block device here: {reason}")


@pytest.fixture(scope="session")
def cuts(pytestconfig: pytest.Config, torture: bool) -> int:
    """How many power cuts: `--cuts`, or 1,000 in the long form, or a few seconds' worth."""
    return int(pytestconfig.getoption("--cuts")) or (1000 if torture else 60)
