"""Numbers, texts and times of columns: what goes in comes out, and a form is only used where it is right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.body import instant_of, text_of_instant
from gateway.uplink.columns import Numbers, Scatter, Scattered, differences, pack, sums
from gateway.uplink.envelope import Malformed
from gateway.uplink.forms import (
    EACH,
    SHOWN,
    WORDS,
    Face,
    Form,
    digits_of,
    face_of,
    form_of,
    text_of,
    text_of_words,
    words_of,
)

numbers = st.lists(st.one_of(st.integers(-9, 9), st.integers(-(1 << 63), 1 << 63)), max_size=200)
narrow = st.lists(st.integers(-(1 << 62), 1 << 62), max_size=200)


@given(numbers, numbers)
def test_varints(one: list[int], other: list[int]) -> None:
    reader = Numbers(pack(one) + pack(other))
    assert reader.take(len(one)) == one
    assert reader.take(len(other)) == other
    reader.end()


@given(st.lists(narrow, max_size=4))
def test_bits(columns: list[list[int]]) -> None:
    scatter = Scatter()
    for column in columns:
        scatter.add(column)
    reader = Scattered(scatter.packed())
    assert [reader.take(len(column)) for column in columns] == columns
    reader.end()


@pytest.mark.parametrize(
    ("column", "bits"),
    [
        ([0], "000000 0"),
        ([0, -1, 1], "000000 0 10 110"),
        ([7, 7, 7], "000011 101 10 101 10 101 10".replace("101 10", "10110")),
        ([0, 0, 0, 500], "000000 0 0 0 1111111111111111 001001 1111101000"),
    ],
)
def test_bits_as_documented(column: list[int], bits: str) -> None:
    scatter = Scatter()
    scatter.add(column)
    wanted = bits.replace(" ", "")
    packed = scatter.packed()
    assert f"{int.from_bytes(packed, 'big'):0{8 * len(packed)}b}".startswith(wanted)
    assert len(packed) == (len(wanted) + 7) // 8


@given(numbers, st.integers(0, 4))
def test_sums_undo_differences(column: list[int], order: int) -> None:
    assert sums(differences(column, order), order) == column


@pytest.mark.parametrize("packed", [b"", b"\x80", b"\x80" * 11 + b"\0"])
def test_varints_that_end_too_early_or_never(packed: bytes) -> None:
    with pytest.raises(Malformed):
        Numbers(packed).one()


@pytest.mark.parametrize(
    ("packed", "count"),
    [
        (b"", 1),
        (b"\x00", 9),
        (b"\x0f\xff\xff", 1),  # ones without end
        (b"\x03\xff\xff\xfe", 1),  # an escape whose size is cut
        (b"\x03\xff\xfe\xff", 1),  # an escape of 32 bits, and there is one
        (b"\xfc", 1),  # sixty-three low bits, and there is none
        (b"\xfd\x55\x55\x55\x55\x55", 1),  # and there are some
    ],
)
def test_bits_that_end_too_early(packed: bytes, count: int) -> None:
    with pytest.raises(Malformed):
        Scattered(packed).take(count)


def test_nothing_may_be_left() -> None:
    with pytest.raises(Malformed):
        Numbers(b"\0").end()
    for rest in (b"\x01", b"\0\0"):
        with pytest.raises(Malformed):
            Scattered(rest).end()


@pytest.mark.parametrize(
    ("values", "texts", "form"),
    [
        (["97", "100"], ["97", "100"], Form(0, SHOWN)),
        (["97", "100"], [" 97%", "100%"], Form(0, SHOWN, "", 3, " ", ".", "%")),
        (["9", "-9"], ["0009", "-009"], Form(0, SHOWN, "", 4, "0")),
        (["36.5", "7.0"], ["T= 36,5", "T=  7,0"], Form(1, SHOWN, "T=", 5, " ", ",")),
        (["1", "2"], ["+1", "+2"], Form(0, SHOWN, "+")),
        (["1", "-2"], ["+1", "-2"], Form(0, EACH)),
        (["255", "10"], ["00FF", "000A"], Form(0, WORDS, width=1)),
        (["255", "10"], ["00FF 0000 0001", "000A FFFF FFFF"], Form(0, WORDS, width=3)),
        (["255", "10"], ["00FF", "000A 0000"], Form(0, EACH)),
        (["97.0"], ["97"], Form(1, EACH)),
        (["97"], ["x" * 99 + "97"], Form(0, EACH)),
        (["97"], [" " * 99 + "97"], Form(0, EACH)),
    ],
)
def test_the_form_of_what_a_device_writes(values: list[str], texts: list[str], form: Form) -> None:
    found = form_of(form.digits, values, texts)
    assert found == form
    assert found.is_sound()


@given(st.lists(st.decimals(-9999, 9999, allow_nan=False, allow_infinity=False).map(str), min_size=1, max_size=5))
def test_digits_of_values(values: list[str]) -> None:
    digits, whole, each = digits_of(values)
    if digits >= -1:
        assert list(map(text_of, whole, each or [digits] * len(whole))) == values


@given(st.text(max_size=30))
def test_a_face_shows_its_text_again(text: str) -> None:
    zeros, numbers = face_of(text)
    face = Face(zeros)
    assert len(face) == len(numbers)
    assert face.show(numbers) == text


def test_a_face_has_room_for_so_many_digits_only() -> None:
    face = Face("00/00")
    assert face.show([1, 23]) == "01/23"
    assert face.show([100, 0]) is None
    assert face.show([-1, 0]) is None


@given(st.integers(0, (1 << 48) - 1))
def test_words(number: int) -> None:
    assert words_of(text_of_words(number, 3)) == number


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_instants(ms: int) -> None:
    text = text_of_instant(ms)
    assert text is not None
    assert len(text) == 24
    assert instant_of(text) == ms


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-24T09:15:02Z", "2026-11-24 09:15:02.120Z", "2026-02-30T00:00:00.000Z", "2026-11-24T24:00:00.000Z"]
    + ["2026-11-24T09:15:02.120+00:00", "0000-01-01T00:00:00.000Z", "٢٠٢٦-11-24T09:15:02.120Z"],
)
def test_what_is_no_instant(text: str) -> None:
    assert instant_of(text) is None


@pytest.mark.parametrize("ms", [-62_135_596_800_001, 253_402_300_800_000, 1 << 62])
def test_instants_that_no_year_has(ms: int) -> None:
    assert text_of_instant(ms) is None
