"""`jisr device`: the devices of a configuration: which are commissioned, and commissioning one."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from drivers.observation import Result
from drivers.profile import Profile
from gateway import language
from gateway.clock import Clock
from gateway.commissioning import (
    COMPARISONS,
    Basis,
    Comparison,
    NotCommissioned,
    Proof,
    basis_of,
    is_laboratory,
    proof_path,
    public_key,
    read_proof,
    sign,
    store,
)
from gateway.config import Config, DeviceConfig, load, resolved_profile
from gateway.errors import JisrError
from gateway.language import N_, _
from gateway.spool.cipher import SecretMissing, read_secret
from gateway.version import VERSION
from provisioning.answers import ask, ask_name, check_name, pair, say
from provisioning.attach import NoDevice
from provisioning.commands.check import DEFAULT
from provisioning.comparison import Mismatch, compare, parse_shown, plain
from provisioning.errors import AskedWrongly
from provisioning.latest import TooFew, chosen, read_latest

LOOK_S = 1.0


class NotALaboratory(AskedWrongly):
    """A device without laboratory results."""

    sentence = N_("{device} gives no laboratory results: this version of Jisr compares those only.")


class TooFewShown(AskedWrongly):
    """Less than three."""

    sentence = N_("--shown was given {count} times, and {wanted} different results are needed.")


class NotTheSame(JisrError):
    """At least one result differs."""

    sentence = N_(
        "{device} is not commissioned, and nothing was stored. Results that are not the same: {count} of {of}."
    )


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of `jisr device` and of its commands."""
    commands = parser.add_subparsers(dest="what", metavar=_("COMMAND"), required=True)
    sub = _command(commands, "list", N_("the devices of the configuration, and which are commissioned"), show)
    sub.epilog = _("Example: jisr device list --config jisr.toml")
    line = N_("compare three results with what the analyzer shows, and keep the signed proof")
    sub = _command(commands, "commission", line, commission)
    sub.add_argument("device", metavar=_("DEVICE"), help=_("its name in the configuration"))
    sub.add_argument("--by", default="", metavar=_("NAME"), help=_("who compares (else it is asked)"))
    sub.add_argument(
        "--shown",
        action="append",
        default=[],
        metavar=_("TEST=VALUE UNIT"),
        help=_("what the display shows, instead of being asked; at least three times"),
    )
    sub.add_argument(
        "--wait", type=float, default=0.0, metavar=_("SECONDS"), help=_("wait so long for results to come")
    )
    sub.epilog = _(
        "Example: jisr device commission labo-hemato --config jisr.toml\n"
        "Run a control first, so that three results are there. Until then every result of the analyzer is\n"
        "questionable (not_commissioned)."
    )
    parser.epilog = _("Example: jisr device list --config jisr.toml")


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    line: str,
    work: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    sub = commands.add_parser(
        name, help=_(line), description=_(line), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sub.add_argument("--lang", choices=language.LANGUAGES, help=_("language of what is said"))
    sub.add_argument("--json", action="store_true", help=_("one JSON object, for tools"))
    sub.add_argument("--config", type=Path, default=DEFAULT, metavar=_("FILE"), help=_("configuration file"))
    sub.set_defaults(work=work)
    return sub


def run(arguments: argparse.Namespace) -> int:
    """One of the two."""
    return int(arguments.work(arguments))


# -- list ------------------------------------------------------------------------------------------------------------


def show(arguments: argparse.Namespace) -> int:
    """0, whatever the state: it is told, not judged."""
    config = load(arguments.config)
    found = list(_standings(config))
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return 0
    for each in found:
        sys.stdout.write(f"{each['name']}  ({each['driver']} {each['profile']})\n    {each['text']}\n")
    return 0


def _standings(config: Config) -> Iterator[dict[str, Any]]:
    key = _key(config)
    for device in config.device:
        profile = resolved_profile(device)
        told: dict[str, Any] = {"name": device.name, "driver": profile.driver, "profile": profile.name}
        if not is_laboratory(profile):
            yield told | {"commissioned": None, "text": _("gives no laboratory results: nothing to compare")}
            continue
        try:
            proof = _proof_of(config, device, profile, key)
        except NotCommissioned as error:
            yield told | {"commissioned": False, "why": type(error).__name__, "text": error.text()}
            continue
        text = _("commissioned on {at} UTC by {by}").format(at=proof.at[:16].replace("T", " "), by=proof.by)
        yield told | {"commissioned": True, "at": proof.at, "by": proof.by, "text": text}


def _key(config: Config) -> bytes:
    """The box's key; one that fits nothing where it has no secret yet."""
    try:
        return public_key(read_secret(Path(config.spool.secret)))
    except SecretMissing:
        return bytes(32)


def _proof_of(config: Config, device: DeviceConfig, profile: Profile, key: bytes) -> Proof:
    path = proof_path(Path(config.spool.path), device.name)
    return read_proof(path, device.name, basis_of(profile, device.options), key)


# -- commission ------------------------------------------------------------------------------------------------------


def commission(arguments: argparse.Namespace) -> int:
    """0 if all that was compared is the same and the proof is stored, 1 if not."""
    config = load(arguments.config)
    device = next((each for each in config.device if each.name == arguments.device), None)
    if device is None:
        known = ", ".join(each.name for each in config.device)
        raise NoDevice(name=arguments.device, file=arguments.config, known=known)
    profile = resolved_profile(device)
    if not is_laboratory(profile):
        raise NotALaboratory(device=device.name)
    if arguments.shown and len(arguments.shown) < COMPARISONS:
        raise TooFewShown(count=len(arguments.shown), wanted=COMPARISONS)
    if arguments.by or arguments.shown:
        check_name(arguments.by)
    basis = basis_of(profile, device.options)
    latest = _await_results(arguments, config, device.name, basis)
    if arguments.shown:
        typed = pair(arguments.shown, latest, device.name)
    else:
        typed = [(seen, text) for seen, text in ask(chosen(latest), device.name, profile)]
    same, problems = _compared(device.name, typed)
    if problems:
        return _refuse(arguments, device.name, problems, len(typed))
    proof = _proof(config, device.name, basis, same, arguments.by or ask_name())
    path = proof_path(Path(config.spool.path), device.name)
    store(path, sign(proof, read_secret(Path(config.spool.secret))), device.name)
    _tell(arguments, proof, path)
    return 0


def _await_results(arguments: argparse.Namespace, config: Config, device: str, basis: Basis) -> list[Result]:
    """At least three that can be compared. Raises `TooFew`."""
    end, is_shown = time.monotonic() + arguments.wait, False
    while True:
        latest = read_latest(config, arguments.config, device, basis)
        count = len(chosen(latest))
        if count >= COMPARISONS or not time.monotonic() < end:
            break
        if sys.stderr.isatty():
            sys.stderr.write("\r" + _("results: {count} of {wanted} …").format(count=count, wanted=COMPARISONS))
            sys.stderr.flush()
            is_shown = True
        time.sleep(LOOK_S)
    if is_shown:
        say("")
    if count < COMPARISONS:
        raise TooFew(device=device, count=count, wanted=COMPARISONS)
    return latest


def _compared(device: str, typed: list[tuple[Result, str]]) -> tuple[list[Comparison], list[tuple[Result, Mismatch]]]:
    same, problems = [], []
    for seen, text in typed:
        shown = parse_shown(seen.test, text)
        try:
            same.append(compare(device, seen, shown))
        except Mismatch as error:
            problems.append((seen, error))
    return same, problems


def _refuse(arguments: argparse.Namespace, device: str, problems: list[tuple[Result, Mismatch]], count: int) -> int:
    end = NotTheSame(device=device, count=len(problems), of=count)
    if not arguments.json:
        for _seen, error in problems:
            say(error.text())
        raise end
    told = [{"test": seen.test, "kind": type(error).__name__, "sentence": error.text()} for seen, error in problems]
    sys.stdout.write(msgspec.json.encode({"device": device, "commissioned": False, "problems": told}).decode() + "\n")
    return end.exit_code


def _proof(config: Config, device: str, basis: Basis, same: list[Comparison], by: str) -> Proof:
    now = Clock(memory=Path(config.spool.path) / "clock").now()
    return Proof(
        device=device,
        gateway=config.gateway.id,
        basis=basis,
        comparisons=tuple(same),
        by=by,
        at=now.at,
        clock=now.trust,
        software=f"jisr {VERSION}",
    )


def _tell(arguments: argparse.Namespace, proof: Proof, path: Path) -> None:
    if arguments.json:
        told = {"device": proof.device, "commissioned": True, "file": str(path), "proof": proof}
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        return
    for each in proof.comparisons:
        sys.stdout.write(_("{test}: the same").format(test=plain(each.test)) + "\n")
    text = _("{device} is commissioned. Its results are valid from the next one on.\nThe proof: {path}")
    sys.stdout.write(text.format(device=proof.device, path=path) + "\n")
    if proof.clock.quality in ("none", "floor"):
        doubt = _("The box's clock is not set: the proof says {at} UTC.")
        sys.stdout.write(doubt.format(at=proof.at[:16].replace("T", " ")) + "\n")
