"""FLOAT and SFLOAT: the vectors of the documents, every special word, every word there is, digits kept."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.framing.ieee11073 import Special, float32, sfloat


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0x0062, "98"),
        (0xF3CA, "97.0"),
        (0xF014, "2.0"),
        (0xE0C8, "2.00"),
        (0x0B2E, "-1234"),
        (0x0000, "0"),
        (0xF000, "0.0"),
        (0xF3D4, "98.0"),
        (0x8062, "9.8E-7"),
        (0x7001, "1E+7"),
        (0xB078, "0.00120"),
        (0xC043, "0.0067"),
        (0x07FD, "2045"),
        (0x0803, "-2045"),
        (0xFFFF, "-0.1"),
    ],
)
def test_sfloat(word: int, text: str) -> None:
    assert str(sfloat(word)) == text


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0xFF00016D, "36.5"),
        (0xFE000EA6, "37.50"),
        (0xFF000014, "2.0"),
        (0x00FFFB2E, "-1234"),
        (0xFD017DB8, "97.720"),
        (0x00000000, "0"),
        (0x007FFFFD, "8388605"),
        (0x00800003, "-8388605"),
        (0x01000001, "1E+1"),
        (0x80000001, "1E-128"),
        (0x7F7FFFFF, "8.388607E+133"),
    ],
)
def test_float32(word: int, text: str) -> None:
    assert str(float32(word)) == text


SPECIALS = [
    (0x07FF, 0x007FFFFF, "not_a_number"),
    (0x0800, 0x00800000, "not_at_this_resolution"),
    (0x07FE, 0x007FFFFE, "positive_infinity"),
    (0x0802, 0x00800002, "negative_infinity"),
    (0x0801, 0x00800001, "reserved"),
]


@pytest.mark.parametrize(("short", "long", "reason"), SPECIALS)
def test_special_words_are_no_numbers(short: int, long: int, reason: str) -> None:
    assert sfloat(short) == float32(long) == Special(reason)
    assert isinstance(sfloat(short), Special)


def test_only_the_whole_word_is_special() -> None:
    """The same mantissa with an exponent is a number."""
    absent = [word for word in range(0x10000) if isinstance(sfloat(word), Special)]
    assert absent == sorted(short for short, _long, _reason in SPECIALS)
    assert float32(0xFF7FFFFF) == Decimal("838860.7")


@given(mantissa=st.integers(-2045, 2045), exponent=st.integers(-8, 7))
def test_every_sfloat_is_its_mantissa_and_exponent(mantissa: int, exponent: int) -> None:
    word = (exponent & 0xF) << 12 | mantissa & 0xFFF
    found = sfloat(word)
    assert isinstance(found, Decimal)
    assert found == mantissa * Decimal(10) ** exponent
    assert found.as_tuple().exponent == exponent


@given(mantissa=st.integers(-8388605, 8388605), exponent=st.integers(-128, 127))
def test_every_float_is_its_mantissa_and_exponent(mantissa: int, exponent: int) -> None:
    found = float32((exponent & 0xFF) << 24 | mantissa & 0xFFFFFF)
    assert isinstance(found, Decimal)
    assert found == mantissa * Decimal(10) ** exponent
    assert found.as_tuple().exponent == exponent
