"""Mounts in a namespace of this process alone: they vanish with it, whatever way it ends."""

import contextlib
import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

TOOLS = ("mkfs.ext4", "e2fsck", "mount", "unshare")
OPTIONS = "noatime,commit=1"
"""As on the box, but with the journal's own beat at 1 s: a minute of a box happens here in a second."""
_CLONE_NEWNS, _MS_REC, _MS_PRIVATE, _MNT_DETACH = 0x20000, 0x4000, 0x40000, 2
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
_libc = ctypes.CDLL(None, use_errno=True)


def missing() -> str:
    """Why no file system can be mounted here, in words; empty where it can."""
    if os.geteuid() != 0:
        return "mounting a file system needs root"
    for name in TOOLS:
        if shutil.which(name, path=_PATH) is None:
            return f"{name} is not installed (Debian: e2fsprogs, mount, util-linux)"
    for node in ("/dev/fuse", "/dev/loop-control"):
        try:
            os.close(os.open(node, os.O_RDWR))
        except OSError as error:
            return f"{node} cannot be opened: {error.strerror}"
    if "ext4" not in Path("/proc/filesystems").read_text("ascii"):
        return "this kernel has no ext4"
    try:
        tool("unshare", "--mount", "true")
    except OSError:
        return "this container may not make a mount namespace"
    return ""


def go_private() -> None:
    """From here on mounts of this process are seen by it and its children only. Call before the first thread."""
    _check(_libc.unshare(_CLONE_NEWNS), "unshare")
    _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "mount --make-rprivate /")


def tool(*words: str | Path, accepted: tuple[int, ...] = (0,)) -> str:
    """Run one of the tools; returns what it said. Raises OSError with that where it failed."""
    command = [shutil.which(str(words[0]), path=_PATH) or str(words[0]), *map(str, words[1:])]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode not in accepted:
        raise OSError(
            f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stderr.strip()}{done.stdout.strip()}"
        )
    return done.stdout


def mount_fuse(fd: int, folder: Path) -> None:
    """The file system served on the open /dev/fuse `fd`."""
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other,max_read=131072"
    _check(_libc.mount(b"recorder", os.fsencode(folder), b"fuse.recorder", 0, options.encode()), f"mount {folder}")


def make_ext4(file: Path) -> None:
    """An ext4 file system in the file, as mkfs makes it for a card: blocks of 4 KiB, with a journal."""
    options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    tool("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", options, file)


def mount_ext4(file: Path, folder: Path) -> None:
    """Mount the file system in the file, replaying its journal; the loop device goes with the mount."""
    tool("mount", "-t", "ext4", "-o", f"loop,{OPTIONS}", file, folder)


def unmount(folder: Path, patience_s: float = 0.0) -> None:
    """Unmount. Where something still holds it after that time: now out of sight, and for good when that lets go."""
    until = time.monotonic() + patience_s
    while _libc.umount2(os.fsencode(folder), 0):
        if time.monotonic() >= until:
            _libc.umount2(os.fsencode(folder), _MNT_DETACH)
            return
        time.sleep(0.02)


def sync(folder: Path) -> None:
    """All that the file system at `folder` holds in memory goes to its device."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        _check(_libc.syncfs(fd), "syncfs")
    finally:
        os.close(fd)


@contextlib.contextmanager
def mounted(file: Path, folder: Path) -> Iterator[Path]:
    """The ext4 file system in the file, mounted for a while."""
    mount_ext4(file, folder)
    try:
        yield folder
    finally:
        unmount(folder, patience_s=2.0)


def complaint(file: Path) -> str:
    """What e2fsck has against the unmounted file system, changing nothing; empty where it is sound."""
    try:
        tool("e2fsck", "-f", "-n", file)
    except OSError as error:
        return str(error)
    return ""


def _check(result: int, what: str) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
