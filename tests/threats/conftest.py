"""Which threat tests run when."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The planted words wait a minute for a whole line, seen to be too short on a busy machine: `make torture`."""
    return True if collection_path.name == "test_tokens.py" and not config.getoption("--torture") else None
