"""The demo's ledger: 0 only when every identity arrived once."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from provisioning.commands.demo import exit_code, identities
from provisioning.lab import Lab

GOOD: dict[str, Any] = {"committed": 5, "delivered": 5, "lost": 0, "duplicated": 0}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, 0),
        ({"lost": 1, "delivered": 4}, 1),
        ({"lost": 1}, 1),
        ({"duplicated": 1}, 1),
        ({"delivered": 6}, 1),
        ({"committed": 0, "delivered": 0}, 1),
    ],
)
def test_exit_code(change: dict[str, int], code: int) -> None:
    assert exit_code(GOOD | change) == code


def test_one_missing_and_one_foreign_row_do_not_cancel_out(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "en")
    row = "INSERT INTO observations VALUES(1, 'event', ?, 'vent', '{}')"
    with closing(sqlite3.connect(tmp_path / "platform.sqlite")) as store, store:
        store.execute("CREATE TABLE observations(epoch, lane, seq, device, json)")
        store.executemany(row, [(1,), (2,), (2,), (4,)])
    ledger = lab.ledger()
    committed = identities({"epoch": 1, "committed": {"event": 3, "numeric": 0}})
    assert committed - ledger.identities == {(1, "event", 3)}
    assert ledger.rows - len(ledger.identities) == 1
