"""The sum of bytes, against the plain definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.framing.checksum import sum8


@given(st.binary(max_size=2000))
def test_is_the_sum_of_bytes_modulo_256(data: bytes) -> None:
    assert sum8(data) == sum(data) % 256


@pytest.mark.parametrize("length", [0, 1, 255, 256, 257, 512, 65536])
def test_the_highest_bytes_at_the_edges_of_a_span(length: int) -> None:
    assert sum8(b"\xff" * length) == 255 * length % 256
