"""What a commit may cost the card (design, section 10)."""

import asyncio
from pathlib import Path

import pytest

from tests.gateway.spool.bench_spool import measure


@pytest.mark.parametrize("acknowledged", [False, True])
@pytest.mark.parametrize(("payload", "most"), [(600, 9.0), (5000, 2.0)])
def test_flushes_and_bytes(tmp_path: Path, payload: int, most: float, acknowledged: bool) -> None:
    cost = asyncio.run(measure(tmp_path, payload, 700, acknowledged=acknowledged))
    assert cost.payload_bytes == payload
    assert cost.flushes_per_commit <= 1.05
    assert cost.written_per_byte <= most
