"""Commissioning: a person has compared what the box reads with what the device shows, and the box signed that.

A laboratory result is believed once somebody has seen that value, unit and scale are right on this very line; until
then it is *questionable*, `not_commissioned`: a wrong scale looks exactly like a right one. `jisr device
commission` makes the comparison and keeps its proof, one file a device in the folder beside the spool:

    {"proof": {device, driver, profile, options, comparisons, by, at, clock, …}, "key": …, "signature": …}

The signature is Ed25519 over the proof without blanks, by a key that comes from the device secret as the spool's keys
do: a proof that was edited, or made on another box, is not believed. A proof holds for one driver version, one
profile and the options that were in force; what is otherwise read must be compared again. No specimen, no patient.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import NODEFAULT, Raw, Struct
from nacl import exceptions as nacl
from nacl.bindings import crypto_sign, crypto_sign_BYTES, crypto_sign_open, crypto_sign_seed_keypair

from drivers import catalog
from drivers.observation import AnyObservation, ClockTrust, Result
from drivers.profile import Profile
from gateway.errors import JisrError
from gateway.journal import Journal
from gateway.language import N_
from gateway.spool.cipher import derive

REASON = "not_commissioned"
COMPARISONS = 3
"""So many different results are compared: one may agree by chance."""
FOLDER = "commissioning"
LIMIT_BYTES = 64 << 10
_PURPOSE = b"jisr commissioning 1"
_CARRY = ("valid", "validated", "ongoing", "overflow", "underflow")
"""What a result with a value may be; whatever is worse stays as it is, with its own reason."""


class NotCommissioned(JisrError):
    """No proof is there."""

    sentence: ClassVar[str] = N_(
        "{device}: nobody has compared its results with its display yet. Until then they are questionable: "
        "jisr device commission {device}"
    )


class ProofUnreadable(NotCommissioned):
    """The operating system refuses."""

    sentence = N_("{device}: the proof {path} cannot be read: {reason}. Until then its results are questionable.")


class ProofDamaged(NotCommissioned):
    """Cut short, or another file."""

    sentence = N_(
        "{device}: {path} is not a proof, or only a part of one. Its results are questionable; compare them again: "
        "jisr device commission {device}"
    )


class ProofNotOurs(NotCommissioned):
    """The signature is not this box's."""

    sentence = N_(
        "{device}: the proof {path} was changed, or another box made it. Its results are questionable; compare them "
        "again: jisr device commission {device}"
    )


class ProofOfAnother(NotCommissioned):
    """Signed here, for another device."""

    sentence = N_(
        "{device}: the proof {path} is that of {other}. Its results are questionable; compare them: "
        "jisr device commission {device}"
    )


class ProofOutdated(NotCommissioned):
    """The driver or the profile is not the one that was compared."""

    sentence = N_(
        "{device}: its results were compared as {was}, and are read as {now} now. They are questionable; compare "
        "them again: jisr device commission {device}"
    )


class OptionsChanged(NotCommissioned):
    """The same driver and profile, told to read otherwise."""

    sentence = N_(
        "{device}: its options, or what its profile says of tests and units, have changed since its results were "
        "compared. They are questionable; compare them again: jisr device commission {device}"
    )


class ProofNotStored(JisrError):
    """It cannot be written; nothing is."""

    sentence = N_("The proof {path} cannot be written: {reason}. Nothing was stored, {device} is not commissioned.")


class Side(Struct, frozen=True, omit_defaults=True):
    """One result as one side has it: digits as printed, or a word; the box knows a unit by two names."""

    value: str
    comparator: str = ""
    unit: str = ""
    vendor_unit: str = ""


class Comparison(Struct, frozen=True):
    """One result that was the same on both sides."""

    test: str
    box: Side
    shown: Side


class Basis(Struct, frozen=True):
    """What a proof holds for; anything else may read the same bytes as another number."""

    driver: str
    """`astm/1`: name and version."""
    profile: str
    options: str
    """Digest of the options in force and of what the profile says of each test."""


class Proof(Struct, frozen=True):
    """That a person compared a device's results with its display."""

    device: str
    gateway: str
    basis: Basis
    comparisons: tuple[Comparison, ...]
    by: str
    at: str
    clock: ClockTrust
    software: str
    version: Literal[1] = 1


class _Sealed(Struct, frozen=True):
    proof: Raw
    key: str
    signature: str


def basis_of(profile: Profile, options: Mapping[str, Any]) -> Basis:
    """What results are read by: options that say no more than the driver's default count as not given."""
    kind = catalog.driver_class(profile.driver).Options
    chosen = msgspec.convert({**profile.options, **options}, kind)
    said = {field.name: getattr(chosen, field.name) for field in msgspec.structs.fields(kind)}
    for field in msgspec.structs.fields(kind):
        default = field.default_factory() if field.default_factory is not NODEFAULT else field.default
        if said[field.name] == default:
            del said[field.name]
    rows = [(row.code, row.name, row.unit, row.kind, row.values, row.extra) for row in profile.metric]
    plain = msgspec.to_builtins((said, rows), enc_hook=str, str_keys=True)
    digest = hashlib.sha256(msgspec.json.encode(plain, enc_hook=str, order="deterministic")).hexdigest()
    return Basis(f"{profile.driver}/{profile.protocol.version}", profile.name, digest)


def is_laboratory(profile: Profile) -> bool:
    """Whether it gives laboratory results: not at the bedside, and silent by nature while nobody measures."""
    return not profile.protocol.bedside and not profile.protocol.stale_after_s


def proof_path(spool: Path, device: str) -> Path:
    """Where the proof of a device is kept: beside the spool, so that it outlives one that is set aside."""
    return spool.parent / FOLDER / f"{device}.json"


def public_key(secret: bytes) -> bytes:
    """By which a proof of this box is known."""
    return crypto_sign_seed_keypair(derive(secret, b"", _PURPOSE))[0]


def sign(proof: Proof, secret: bytes) -> bytes:
    """The file of a proof."""
    public, private = crypto_sign_seed_keypair(derive(secret, b"", _PURPOSE))
    inner = msgspec.json.encode(proof)
    signature = crypto_sign(_signed(inner), private)[:crypto_sign_BYTES]
    whole = msgspec.json.encode(_Sealed(Raw(inner), public.hex(), signature.hex()))
    return msgspec.json.format(whole, indent=2) + b"\n"


def _signed(inner: bytes) -> bytes:
    return _PURPOSE + b"\0" + msgspec.json.format(inner, indent=-1)


def read_proof(path: Path, device: str, basis: Basis, key: bytes) -> Proof:
    """The proof of this device as it is read now. Raises `NotCommissioned` or a leaf of it."""
    proof = _verified(path, device, key)
    if proof.device != device:
        raise ProofOfAnother(device=device, path=path, other=proof.device)
    was, now = (f"{one.driver} {one.profile}" for one in (proof.basis, basis))
    if was != now:
        raise ProofOutdated(device=device, was=was, now=now)
    if proof.basis != basis:
        raise OptionsChanged(device=device)
    return proof


def _verified(path: Path, device: str, key: bytes) -> Proof:
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        raise NotCommissioned(device=device) from error
    except OSError as error:
        raise ProofUnreadable(device=device, path=path, reason=error.strerror) from error
    try:
        sealed = msgspec.json.decode(data, type=_Sealed)
        crypto_sign_open(bytes.fromhex(sealed.signature) + _signed(bytes(sealed.proof)), key)
        proof = msgspec.json.decode(sealed.proof, type=Proof)
    except nacl.CryptoError as error:
        raise ProofNotOurs(device=device, path=path) from error
    except (ValueError, RecursionError) as error:  # msgspec's errors, and digits that are none
        raise ProofDamaged(device=device, path=path) from error
    if len(proof.comparisons) < COMPARISONS:
        raise ProofDamaged(device=device, path=path)
    return proof


def store(path: Path, data: bytes, device: str) -> None:
    """Return once it is on the medium under its name; else nothing has changed. Raises `ProofNotStored`."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.parent.chmod(0o755)
        beside.unlink(missing_ok=True)
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            os.fchmod(fd, 0o644)  # no secret, and the agent's account must read it, whatever the installer's umask
            _write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        beside.rename(path)
        for folder in (path.parent, path.parent.parent):
            _sync_folder(folder)
    except OSError as error:
        raise ProofNotStored(device=device, path=path, reason=os.strerror(error.errno or 0)) from error
    finally:  # Ctrl-C as well
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def never() -> bool:
    """Of a device without a proof."""
    return False


def doubted(
    observations: tuple[AnyObservation, ...], is_commissioned: Callable[[], bool]
) -> tuple[AnyObservation, ...]:
    """The same, results with a value questionable unless the device is commissioned; numbers stay as they are."""
    if not any(isinstance(seen, Result) for seen in observations) or is_commissioned():
        return observations
    return tuple(map(_doubt, observations))


def _doubt(seen: AnyObservation) -> AnyObservation:
    if not isinstance(seen, Result) or seen.validity not in _CARRY:
        return seen
    status = "questionable" if seen.status == "final" else seen.status  # as the line-quality gate does
    return msgspec.structs.replace(seen, validity="questionable", reason=REASON, status=status)


class Proofs:
    """The agent's look at its devices' proofs: a file that comes, changes or goes counts from the next result on."""

    def __init__(self, spool: Path, secret: bytes, journal: Journal) -> None:
        self._spool, self._key, self._journal = spool, public_key(secret), journal
        self._read_by: dict[str, tuple[Profile, Mapping[str, Any]]] = {}
        self._known: dict[str, tuple[object, bool]] = {}

    def add(self, device: str, profile: Profile, options: Mapping[str, Any]) -> Callable[[], bool]:
        """What answers, at any time, whether this device is commissioned; a laboratory's is looked at now."""
        self._read_by[device] = profile, options
        if is_laboratory(profile):
            self.is_commissioned(device)
        return lambda: self.is_commissioned(device)

    def is_commissioned(self, device: str) -> bool:
        """Whether its proof holds; a change is said in the journal, once."""
        path = proof_path(self._spool, device)
        state, known = _state(path), self._known.get(device)
        if known is None or known[0] != state:
            known = state, self._judge(path, device)
            self._known[device] = known
        return known[1]

    def _judge(self, path: Path, device: str) -> bool:
        subject = f"commissioning of {device}"
        try:
            proof = read_proof(path, device, basis_of(*self._read_by[device]), self._key)
        except NotCommissioned as error:
            if type(error) is NotCommissioned:  # a new device: no fault, its results say so
                self._journal.event(REASON, device=device)
            else:
                self._journal.say(error, subject)
            return False
        self._journal.settle(subject)
        self._journal.event("commissioned", device=device, since=proof.at)
        return True


def _state(path: Path) -> object:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_ino, found.st_mtime_ns, found.st_size
