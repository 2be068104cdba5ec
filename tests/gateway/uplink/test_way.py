"""Frames joined and cut: the same observations, digit for digit, with the same numbers."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.spool.spool import Frame, Position
from gateway.uplink.way import Way, behind, cut, joined
from tests.gateway.uplink.fake_spool import FakeSpool, numeric

OBSERVATIONS = st.lists(
    st.sampled_from([b'{"value":97.0}', b'{"text":"a],[b"}', b'{"samples":[1,2,3]}', b'{"value":1.50,"n":"\\"]"}']),
    min_size=1,
    max_size=30,
)


def frame_of(each: list[bytes], first: int = 1) -> Frame:
    return Frame("numeric", 3, first, len(each), 1, b"[" + b",".join(each) + b"]")


def rows(frames: list[Frame]) -> list[tuple[int, bytes]]:
    return [
        (frame.first + at, bytes(one))
        for frame in frames
        for at, one in enumerate(msgspec.json.decode(frame.payload, type=list[Raw]))
    ]


@given(OBSERVATIONS, st.integers(0, 200))
def test_cut_and_joined_again_nothing_is_lost_or_changed(each: list[bytes], limit: int) -> None:
    whole = frame_of(each, 10)
    pieces = cut(whole, limit)
    assert rows(pieces) == rows([whole])
    assert all(len(piece.payload) <= limit or piece.count == 1 for piece in pieces)
    assert all(one.last + 1 == other.first for one, other in zip(pieces, pieces[1:], strict=False))
    assert joined(tuple(pieces)) == whole.payload


@given(OBSERVATIONS, st.data())
def test_what_comes_behind_a_number(each: list[bytes], data: st.DataObject) -> None:
    whole = frame_of(each, 10)
    seq = data.draw(st.integers(9, whole.last - 1))
    assert rows([behind(whole, seq)]) == [row for row in rows([whole]) if row[0] > seq]


def test_what_is_no_array_of_observations_is_left_as_it_is() -> None:
    for payload, count, content in ((b"[1,2", 2, 1), (b"[1,2]", 3, 1), (b"[1,2]", 2, 9), (b"\xff", 2, 1)):
        odd = Frame("numeric", 1, 1, count, content, payload)
        assert cut(odd, 1) == [odd]
        assert behind(odd, 1) == odd


def test_a_frame_acknowledged_in_part_goes_from_there() -> None:
    spool = FakeSpool()
    spool.put(*[numeric(str(value)) for value in range(10)])
    spool.put(numeric("x1"[1:]))
    for holes, upto, first in (((), 4, 5), (((1, 1),), 6, 1)):
        spool.done["numeric"].clear()
        spool._released["numeric"] = Position(0, 0)
        spool.acknowledge("numeric", 1, upto, holes)
        way = Way("numeric", "hist", spool)
        way.restart(spool.released("numeric"), spool.head("numeric"))
        assert not way.fetch()
        frames, is_full = way.gather(1 << 20, 60)
        assert (frames[0].first, frames[-1].last, is_full) == (first, 11, False)


def test_stretches_join_where_all_between_them_is_acknowledged() -> None:
    spool = FakeSpool()
    for value in range(30):
        spool.put(numeric(str(value)))
    way = Way("numeric", "hist", spool)
    way.restart(Position(1, 0), Position(1, 5))
    assert way.append(Position(1, 10), Position(1, 12))
    assert way.append(Position(1, 12), Position(1, 14))
    assert list(way.later) == [(Position(1, 10), Position(1, 14))]
    spool.acknowledge("numeric", 1, 20, ((1, 14),))
    assert way.append(Position(1, 20), Position(1, 25))
    assert list(way.later) == [(Position(1, 10), Position(1, 25))]
    gone = []
    while not way.fetch() and way.ahead:
        frames, _ = way.gather(1 << 20, 60)
        gone += [frame.first for frame in frames]
        way.leave(frames)
    assert gone == [1, 2, 3, 4, 5, 11, 12, 13, 14, 21, 22, 23, 24, 25]


def test_too_many_stretches_are_refused() -> None:
    spool = FakeSpool()
    for value in range(300):
        spool.put(numeric(str(value)))
    way = Way("numeric", "hist", spool)
    way.restart(Position(1, 0), Position(1, 1))
    answers = [way.append(Position(1, at), Position(1, at + 1)) for at in range(2, 300, 2)]
    assert answers.count(True) == 64
    assert not answers[-1]
