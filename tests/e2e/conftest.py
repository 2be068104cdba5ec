"""Which end-to-end proofs run when: the long ones belong to `make torture`."""

from pathlib import Path

import pytest

LONG = {
    "test_broker.py",
    "test_certificates.py",
    "test_clock.py",
    "test_disk.py",
    "test_jumps.py",
    "test_link.py",
    "test_memory.py",
    "test_storm.py",
}
"""Whole processes under faults, minutes of waiting. They join `make test` once they were seen to pass there, on two
cores beside everything else."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the long ones out unless they were asked for, by `--torture` or by their own name."""
    is_named = any(collection_path.name in word for word in config.invocation_params.args)
    return True if collection_path.name in LONG and not config.getoption("--torture") and not is_named else None
