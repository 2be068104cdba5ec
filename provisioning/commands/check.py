"""`jisr check`: the configuration, without starting anything."""

import argparse
import sys
from pathlib import Path

import msgspec

from gateway.config import ConfigErrors, load
from gateway.language import _
from provisioning.curves import curve_costs, curve_lines

DEFAULT = Path("/etc/jisr/jisr.toml")


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of `jisr check`."""
    parser.add_argument(
        "config", nargs="?", type=Path, default=DEFAULT, metavar=_("FILE"), help=_("configuration file")
    )
    parser.add_argument("--json", action="store_true", help=_("one JSON object, for tools"))
    parser.epilog = _("Example: jisr check jisr.toml")


def run(arguments: argparse.Namespace) -> int:
    """0 when it is right; 2 with every mistake, its line and what would be right."""
    try:
        config = load(arguments.config)
    except ConfigErrors as errors:
        if not arguments.json:
            raise
        found = [msgspec.to_builtins(problem) for problem in errors.problems]
        sys.stdout.write(msgspec.json.encode({"ok": False, "problems": found}, enc_hook=str).decode() + "\n")
        return errors.exit_code
    notices, costs = [notice.text() for notice in config.notices], curve_costs(config)
    if arguments.json:
        told = {"ok": True, "notices": notices, "curves": costs}
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        return 0
    for line in (*notices, *(curve_lines(costs) if costs else ())):
        sys.stdout.write(line + "\n")
    sys.stdout.write(
        _("{file}: no mistake found, {count} devices.").format(file=arguments.config, count=len(config.device)) + "\n"
    )
    return 0
