"""Reading a committed segment piece by piece: for sending, and for the scrub."""

from collections.abc import Iterator

from msgspec import Struct

from drivers.observation import Lane
from gateway.spool.cipher import Opener
from gateway.spool.frame import Seen, Walk
from gateway.spool.segment import Run, read_bytes

WINDOW_BYTES = 256 * 1024
"""Read at once; the rest of the segment only if that holds no whole frame or something is wrong."""


class Met(Struct, frozen=True):
    """One thing met: a good frame, observations that cannot be read, or both; `end` is the offset behind it."""

    end: int
    last: int
    """The last observation before `end`."""
    seen: Seen | None = None
    lost: tuple[int, int] | None = None


def met_in(  # noqa: PLR0913, PLR0917
    run: Run, lane: Lane, opener: Opener, offset: int, last: int, *, is_fresh: bool = False
) -> Iterator[Met]:
    """What stands in `run` from `offset` on, `last` being the observation before it. Reads no more than is asked for.

    Its numbers are one unbroken row: where a frame leaves some out, they are lost, whatever stands in their place.
    """
    size = WINDOW_BYTES
    while offset < run.end:
        data = read_bytes(run.path, min(size, run.end - offset), offset, is_fresh=is_fresh)
        is_whole = size >= run.end - offset
        walk = Walk(data, lane, run.number, run.origin, opener, last)
        for seen in walk.frames(is_whole=is_whole):
            lost = (last + 1, seen.head.first - 1) if seen.head.first > last + 1 else None
            last = seen.head.last
            yield Met(offset + seen.end, last, seen, lost)
        run.is_newer = run.is_newer or walk.is_newer
        offset += walk.end
        if is_whole:
            break
        size = WINDOW_BYTES if walk.end else run.end - offset
    if run.last > last:
        yield Met(run.end, run.last, lost=(last + 1, run.last))
