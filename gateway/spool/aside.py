"""Files that are set aside: damaged ones for whoever wants to know why, those of a later version for that version."""

import contextlib
from pathlib import Path

from gateway.spool.segment import named

BAD_SEGMENTS = 16
"""Damaged files kept per lane; the oldest makes room. What is in them is in a gap record already."""


def set_aside(path: Path, *, is_kept: bool) -> int:
    """Rename it `.kept` (never touched again) or `.bad`. Returns how many of those were removed. Raises OSError."""
    path.rename(path.with_suffix(".kept" if is_kept else ".bad"))
    gone = 0
    for _, old in named(path.parent, "bad")[:-BAD_SEGMENTS]:
        with contextlib.suppress(OSError):
            old.unlink()
            gone += 1
    return gone
