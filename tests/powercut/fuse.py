"""A file server for the kernel's FUSE protocol: one folder, `disk` (the block device) and `marks` (what is written
there stands in the record between the writes of the disk).

    request   length u32 │ opcode u32 │ unique u64 │ node u64 │ uid gid pid padding u32 │ body
    answer    length u32 │ -errno i32 │ unique u64 │ body
Linux, include/uapi/linux/fuse.h, protocol 7.31.

One thread answers one request after the other, so the record has one order. A write is in the record when it is
answered: what a flush covers, all that was answered before it came, stands before it.
"""

import errno
import os
import stat
import struct
import threading
from collections.abc import Callable

from tests.powercut.record import FLUSH, MARK, WRITE, Log

ROOT, DISK, MARKS = 1, 2, 3
NAMES = {b"disk": DISK, b"marks": MARKS}
MAX_WRITE = 128 << 10
_ASYNC_READ, _BIG_WRITES, _DIRECT_IO = 1, 1 << 5, 1
_FOREVER_S = 3600

_IN = struct.Struct("<IIQQIIII")
_OUT = struct.Struct("<IiQ")
_INIT = struct.Struct("<IIIIHHIIHHI28x")
_ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
_ENTRY = struct.Struct("<QQQQII")
_ATTR_HEAD = struct.Struct("<QII")
_OPEN = struct.Struct("<QII")
_AT = struct.Struct("<QQI")
_WRITTEN = struct.Struct("<II")
_STATFS = struct.Struct("<QQQQQIIII24x")

LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITING, STATFS, RELEASE = 1, 2, 3, 4, 14, 15, 16, 17, 18
FSYNC, FLUSHING, INIT, OPENDIR, RELEASEDIR, DESTROY, BATCH_FORGET = 20, 25, 26, 27, 29, 38, 42
SILENT = {FORGET, BATCH_FORGET}
"""Requests that take no answer. A close (FLUSHING) is no flush: it puts nothing on the medium."""


class Server:
    """Serves `image` on an open /dev/fuse that is mounted, until the mount goes."""

    def __init__(self, fd: int, image: bytearray, log: Log) -> None:
        self._fd, self.image, self._log = fd, image, log
        self.broken = 0
        """With this errno every write and flush is answered, and not done; 0: it works."""
        self._answers: dict[int, Callable[[int, bytes], bytes | int]] = {
            LOOKUP: self._lookup,
            GETATTR: lambda node, _body: _ATTR_HEAD.pack(_FOREVER_S, 0, 0) + self._attributes(node),
            SETATTR: lambda node, _body: _ATTR_HEAD.pack(_FOREVER_S, 0, 0) + self._attributes(node),
            OPEN: lambda _node, _body: _OPEN.pack(1, _DIRECT_IO, 0),
            OPENDIR: lambda _node, _body: _OPEN.pack(1, 0, 0),
            READ: self._read,
            WRITING: self._write,
            FSYNC: self._flush,
            STATFS: lambda _node, _body: _STATFS.pack(1 << 20, 1 << 20, 1 << 20, 100, 100, 4096, 255, 4096, 0),
            INIT: lambda _node, _body: _INIT.pack(
                7, 31, MAX_WRITE, _ASYNC_READ | _BIG_WRITES, 16, 12, MAX_WRITE, 1, 0, 0, 0
            ),
            RELEASE: lambda _node, _body: b"",
            RELEASEDIR: lambda _node, _body: b"",
            FLUSHING: lambda _node, _body: b"",
        }
        self._thread = threading.Thread(target=self._serve, name="fuse", daemon=True)

    def start(self) -> None:
        """Answer from now on; call it before the mount is used."""
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self._fd, MAX_WRITE + 4096)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue  # a request that was taken back
                return  # ENODEV: unmounted
            _, opcode, unique, node, *_ = _IN.unpack_from(request)
            if opcode in SILENT:
                continue
            handle = self._answers.get(opcode)
            answer = handle(node, request[_IN.size :]) if handle else errno.ENOSYS
            body, code = (b"", answer) if isinstance(answer, int) else (answer, 0)
            try:
                os.write(self._fd, _OUT.pack(_OUT.size + len(body), -code, unique) + body)
            except OSError as error:
                if error.errno != errno.ENOENT:  # nobody waits for this answer any more
                    return

    def _attributes(self, node: int) -> bytes:
        mode, links = (stat.S_IFDIR | 0o755, 2) if node == ROOT else (stat.S_IFREG | 0o600, 1)
        size = len(self.image) if node == DISK else 0
        return _ATTR.pack(node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, links, 0, 0, 0, 4096, 0)

    def _lookup(self, _node: int, body: bytes) -> bytes | int:
        node = NAMES.get(body.rstrip(b"\0"))
        if node is None:
            return errno.ENOENT
        return _ENTRY.pack(node, 0, _FOREVER_S, _FOREVER_S, 0, 0) + self._attributes(node)

    def _read(self, node: int, body: bytes) -> bytes:
        _, offset, size = _AT.unpack_from(body)
        return bytes(self.image[offset : offset + size]) if node == DISK else b""

    def _write(self, node: int, body: bytes) -> bytes | int:
        _, offset, size = _AT.unpack_from(body)
        data = body[40 : 40 + size]
        if node == MARKS:
            self._log.add(MARK, 0, data)
        elif self.broken:
            return self.broken
        else:
            self.image[offset : offset + size] = data
            self._log.add(WRITE, offset, data)
        return _WRITTEN.pack(size, 0)

    def _flush(self, node: int, _body: bytes) -> bytes | int:
        if node == DISK and self.broken:
            return self.broken
        if node == DISK:
            self._log.add(FLUSH)
        return b""
