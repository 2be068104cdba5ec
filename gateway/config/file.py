"""Reading the file itself, and the files it names: present, readable, of a sensible size, closed to others."""

import re
import stat
from pathlib import Path

from msgspec import Struct

from gateway.config.problem import BadValue, say
from gateway.language import N_

LIMIT_BYTES = 1 << 20
"""A configuration of a thousand devices has 200 kB."""
OTHERS = 0o077
NOT_REGULAR = N_("not a regular file")


class FileProblem(BadValue):
    """Something about a file as a whole; `key` is empty or `key = ` before its name."""


class FileAbsent(FileProblem):
    """Nothing has this name."""

    sentence = N_("{key}{file}: there is no such file")
    expected = N_("the name of a file that exists; a name without / at its start is looked for in {folder}")


class FileIsFolder(FileProblem):
    """A folder has this name."""

    sentence = N_("{key}{file} is a folder")
    expected = N_("the name of a file")


class FileUnreadable(FileProblem):
    """No right to read it, or the disk refuses."""

    sentence = N_("{key}{file} cannot be read: {reason}")
    expected = N_("a file that this account may read")


class FileTooLarge(FileProblem):
    """More than anyone writes."""

    sentence = N_("{key}{file} is larger than {limit} bytes")
    expected = N_("a file of that kind; this looks like another one")


class FileNotText(FileProblem):
    """Not UTF-8."""

    sentence = N_("{key}{file} is not UTF-8 text (byte {at})")
    expected = N_("the file saved as UTF-8; an editor offers it under Save as, Encoding")


class FileOpenToOthers(FileProblem):
    """A secret that other accounts could read."""

    sentence = N_("{key}{file} can be read or changed by others (mode {mode})")
    expected = N_("only its owner may read it: chmod 600 {file}")


class NotACertificate(FileProblem):
    """Another file, perhaps the key."""

    sentence = N_("{key}{file} holds no certificate")
    expected = N_("a file in PEM form, with a line -----BEGIN CERTIFICATE-----")


class NotAPrivateKey(FileProblem):
    """Another file, perhaps the certificate."""

    sentence = N_("{key}{file} holds no private key")
    expected = N_("a file in PEM form, with a line -----BEGIN PRIVATE KEY-----")


class NotARevocationList(FileProblem):
    """Another file."""

    sentence = N_("{key}{file} holds no list of revoked certificates")
    expected = N_("a file in PEM form, with a line -----BEGIN X509 CRL-----")


class NotAnAckKey(FileProblem):
    """The platform hands out 32 bytes, written as hexadecimal digits."""

    sentence = N_("{key}{file} holds no acknowledgement key")
    expected = N_("64 hexadecimal digits on one line, as the platform gave them for this box")


class NotASpoolSecret(FileProblem):
    """The agent made it; another file has its name now, or it is damaged."""

    sentence = N_("{key}{file} holds no spool secret")
    expected = N_(
        "64 hexadecimal digits, as the box made them. If they are lost, remove the file: the box makes another, and "
        "keeps what the old one sealed unread"
    )


class Holds(Struct, frozen=True):
    """What a named file must hold, and whether it is a secret."""

    pattern: bytes
    refusal: type[FileProblem]
    is_secret: bool = False


CERTIFICATE = Holds(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----", NotACertificate)
PRIVATE_KEY = Holds(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----", NotAPrivateKey, is_secret=True)
REVOCATION_LIST = Holds(rb"-----BEGIN X509 CRL-----", NotARevocationList)
ACK_KEY = Holds(rb"\A\s*[0-9A-Fa-f]{64}\s*\Z", NotAnAckKey, is_secret=True)


def read_text(path: Path, key: str = "", folder: Path = Path()) -> str:
    """A text file, looked for in `folder`; a byte order mark at its start is left out. Raises a `FileProblem`."""
    data = _read(path, key, folder)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileNotText(key=key, file=path, at=error.start) from error


def check_file(path: Path, key: str, holds: Holds, folder: Path) -> None:
    """A file that the configuration names under `key`. Raises a `FileProblem`."""
    data = _read(path, f"{key} = ", folder)
    if not re.search(holds.pattern, data):
        raise holds.refusal(key=f"{key} = ", file=path)
    if holds.is_secret:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & OTHERS:
            raise FileOpenToOthers(key=f"{key} = ", file=path, mode=f"{mode:04o}")


def _read(path: Path, key: str, folder: Path) -> bytes:
    try:
        if path.is_dir():
            raise FileIsFolder(key=key, file=path)
        if path.exists() and not path.is_file():  # a FIFO would block for ever
            raise FileUnreadable(key=key, file=path, reason=say(NOT_REGULAR))
        with path.open("rb") as file:
            data = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        raise FileAbsent(key=key, file=path, folder=folder.absolute()) from error
    except OSError as error:
        raise FileUnreadable(key=key, file=path, reason=error.strerror) from error
    except ValueError as error:  # a NUL, or a letter the file system's encoding does not have
        raise FileUnreadable(key=key, file=path, reason=str(error)) from error
    if len(data) > LIMIT_BYTES:
        raise FileTooLarge(key=key, file=path, limit=LIMIT_BYTES)
    return data
