"""A block device that remembers: ext4 on a loop device on a file that a FUSE server records.

    with RecordingDevice(folder, 64 << 20) as device:
        before = device.counters()
        ...                                  # write below device.mount
        device.settle()                      # what the file system still holds back goes to the device
        used = device.counters() - before    # bytes and flushes at the block device, journal and metadata included
    entries = read_log(device.log)           # each write with its bytes, each flush, and the marks between them

The mount belongs to a process of its own in a mount namespace of its own (keeper.py), and is reached through that
process's view of the file system; it goes with the `with` block, with this process, or with that one, whichever ends
first. Needs root, /dev/fuse, a loop device and e2fsprogs: `missing()` says what is not there.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import msgspec

from tests.powercut.mounts import missing
from tests.powercut.record import Counters

__all__ = ["Counters", "RecordingDevice", "missing"]

ROOT = Path(__file__).parents[2]
LEAVING_S = 10.0


class RecordingDevice:
    """`folder` keeps the log; `image` begins with that content (a cut card) instead of a new file system."""

    def __init__(
        self, folder: Path, size: int = 32 << 20, *, image: Path | None = None, is_kept: bool = True
    ) -> None:
        self.folder, self.log = folder, folder / "log"
        self._words = [str(folder), str(size), str(image or "-"), "record" if is_kept else "count"]
        self._keeper: subprocess.Popen[str] | None = None
        self._holder = 0

    def __enter__(self) -> "RecordingDevice":
        """Raises OSError where the file system cannot be mounted."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "keeper.err").open("w") as complaints:
            self._keeper = subprocess.Popen(
                [sys.executable, "-m", "tests.powercut.keeper", *self._words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                cwd=ROOT,
                start_new_session=True,  # Ctrl-C is for the tests; the keeper leaves in order
            )
        said, _, pid = self._answer().partition(" ")
        if said != "ready":
            self.close()
            raise OSError((self.folder / "keeper.err").read_text("utf-8"))
        self._holder = int(pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def mount(self) -> Path:
        """The file system on the device."""
        return self._seen(self.folder / "mount")

    @property
    def marks(self) -> Path:
        """What is written here in one call stands in the log at its place between writes and flushes."""
        return self._seen(self.folder / "fuse" / "marks")

    def counters(self) -> Counters:
        """What reached the device since it was made; the log file is complete up to here."""
        return self._order("counters")

    def settle(self) -> Counters:
        """The same, after all that the file system held in memory went to the device."""
        return self._order("settle")

    def break_with(self, code: int) -> None:
        """From now on every write and flush fails with this errno; 0 makes the device whole again."""
        self._order(f"break {code}")

    def save_image(self, path: Path) -> None:
        """What the device would read now, flushed or not."""
        self._order(f"image {path}")

    def processes(self) -> dict[str, int]:
        """Who serves the device, and who has the mounts."""
        assert self._keeper is not None, "the device is not there"
        return {"keeper": self._keeper.pid, "holder": self._holder}

    def close(self) -> None:
        """Unmount and be gone."""
        keeper, self._keeper = self._keeper, None
        if keeper is None or keeper.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):
            keeper.stdin.close()
        try:
            keeper.wait(LEAVING_S)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
        if keeper.stdout is not None:
            keeper.stdout.close()

    def _seen(self, path: Path) -> Path:
        assert self._keeper is not None, "the device is not there"
        return Path(f"/proc/{self._holder}/root{path.absolute()}")

    def _order(self, order: str) -> Counters:
        assert self._keeper is not None
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(f"{order}\n")
        self._keeper.stdin.flush()
        return msgspec.json.decode(self._answer(), type=Counters)

    def _answer(self) -> str:
        assert self._keeper is not None
        assert self._keeper.stdout is not None
        return self._keeper.stdout.readline().strip()


def set_mark(fd: int, mark: bytes) -> None:
    """Write to an open `marks`; returns when it is in the log."""
    if os.write(fd, mark) != len(mark):
        raise OSError("a mark was cut")
