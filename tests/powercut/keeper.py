"""The two processes behind a `RecordingDevice`; they take all away when their parent is gone.

    python -m tests.powercut.keeper FOLDER SIZE IMAGE|- record|count

    tests ──orders──▶ keeper: serves the device ──pipe──▶ holder: has the mounts, in a namespace of its own

Orders on standard input, one line each, answered by one line: `counters` · `settle` · `break ERRNO` · `image FILE`.
End of input, however the parent ended, is the order to leave. The holder dies: its mounts go with its namespace, and
what they still write is served. The keeper dies: the kernel aborts the connection, and the holder unmounts the rest.
One process must not be both: ending, the kernel would have it wait for its own answers, for ever.
"""

import ctypes
import os
import sys
from pathlib import Path
from typing import TextIO

import msgspec

from tests.powercut import mounts
from tests.powercut.fuse import Server
from tests.powercut.record import Log

_PR_SET_IO_FLUSHER = 57
PATIENCE_S = 2.0


class Holder:
    """The process with the mounts, seen from the keeper; made before the keeper's first thread."""

    def __init__(self, fd: int, folder: Path, *, is_new: bool) -> None:
        """`fd` is the open /dev/fuse, `is_new`: the device gets a file system first."""
        (ours_in, theirs_out), (theirs_in, ours_out) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(ours_in)
            os.close(ours_out)
            _hold(fd, folder, os.fdopen(theirs_in, "r"), os.fdopen(theirs_out, "w"), is_new=is_new)
        os.close(theirs_in)
        os.close(theirs_out)
        self._said, self._orders = os.fdopen(ours_in, "r"), os.fdopen(ours_out, "w")

    def has_come_to(self, stage: str) -> bool:
        """Wait for its next word; False where it is another one, or it is gone."""
        return self._said.readline() == f"{stage}\n"

    def settle(self) -> None:
        """What the file system holds in memory goes to the device."""
        _write(self._orders, "settle")
        self._said.readline()

    def leave(self) -> None:
        """Return when it is gone, and the mounts with it."""
        self._orders.close()
        os.waitpid(self.pid, 0)


def _hold(fd: int, folder: Path, orders: TextIO, answers: TextIO, *, is_new: bool) -> None:
    fuse, mount = folder / "fuse", folder / "mount"
    try:
        mounts.go_private()
        fuse.mkdir(exist_ok=True)
        mount.mkdir(exist_ok=True)
        mounts.mount_fuse(fd, fuse)
        os.close(fd)  # the keeper has the only one: with it the connection ends
        _write(answers, "mounted")
        if is_new:
            mounts.make_ext4(fuse / "disk")
        mounts.mount_ext4(fuse / "disk", mount)
        _write(answers, "ready")
        for _order in orders:
            mounts.sync(mount)
            _write(answers, "settled")
    except OSError as error:
        sys.stderr.write(f"{error}\n")
    mounts.unmount(mount, PATIENCE_S)
    mounts.unmount(fuse, PATIENCE_S)
    os._exit(0)


def main(folder: Path, size: int, image: str, mode: str) -> None:
    """Make the device and its file system, say `ready` with the holder's process id, obey, leave nothing behind."""
    content = bytearray(size) if image == "-" else bytearray(Path(image).read_bytes())
    log = Log((folder / "log").open("wb") if mode == "record" else None)
    fd = os.open("/dev/fuse", os.O_RDWR)
    holder = Holder(fd, folder, is_new=image == "-")
    # The kernel must not make the server wait for pages that the server itself has to write.
    ctypes.CDLL(None).prctl(_PR_SET_IO_FLUSHER, 1, 0, 0, 0)
    server = Server(fd, content, log)
    if holder.has_come_to("mounted"):
        server.start()
        if holder.has_come_to("ready"):
            _write(sys.stdout, f"ready {holder.pid}")
            for line in sys.stdin:
                _obey(line, server, log, holder)
    holder.leave()
    log.counters()


def _obey(line: str, server: Server, log: Log, holder: Holder) -> None:
    order, _, argument = line.strip().partition(" ")
    if order == "settle":
        holder.settle()
    elif order == "break":
        server.broken = int(argument)
    elif order == "image":
        Path(argument).write_bytes(server.image)
    _write(sys.stdout, msgspec.json.encode(log.counters()).decode())


def _write(file: TextIO, line: str) -> None:
    file.write(f"{line}\n")
    file.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:5])
