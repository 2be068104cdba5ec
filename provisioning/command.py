"""`jisr`: the one command. Exit codes: 0 done, 1 it did not work, 2 it was asked wrongly."""

import argparse
import gettext
import importlib
import os
import sys

from gateway import language
from gateway.errors import JisrError
from gateway.language import LOCALE, N_, _
from gateway.version import VERSION

COMMANDS = {
    "demo": N_("the whole line on this machine: simulators, broker, agent, platform; ends with a ledger"),
    "run": N_("the agent: read the devices, keep what they say, deliver it"),
    "check": N_("the configuration, without starting anything"),
    "device": N_("the devices of a configuration: which are commissioned, and commission one"),
    "probe": N_("which monitors announce themselves on this network; it only listens"),
    "drivers": N_("what Jisr can read: drivers, profiles, evidence, metrics"),
    "watch": N_("live values of a running agent"),
    "record": N_("every byte of one device's port, into a file"),
    "replay": N_("a recording through a driver, to canonical JSON lines"),
    "simulate": N_("one simulated device, on a pseudo-terminal or a TCP port"),
    "spool": N_("what waits on the box's disk: look, verify, carry it by USB, bring the answer back"),
    "consume": N_("the reference consumer: store what arrives, and acknowledge it"),
}
"""Command to its line in `jisr --help`; each lives in `provisioning.commands.<name>`."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; an expected error is a sentence on standard error, never a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    _choose_language(words)
    parser = _parser(words)
    arguments = parser.parse_args(words)
    try:
        return int(arguments.run(arguments))
    except JisrError as error:
        sys.stderr.write(error.text() + "\n")
        return error.exit_code
    except BrokenPipeError:  # `jisr … | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _choose_language(words: list[str]) -> None:
    """`--lang` counts before anything is said, so it is looked for ahead of the parser."""
    wanted = ""
    for at, word in enumerate(words):
        if word.startswith("--lang="):
            wanted = word.removeprefix("--lang=")
        elif word == "--lang" and at + 1 < len(words):
            wanted = words[at + 1]
    chosen = language.choose(wanted)
    # argparse speaks through the process-wide domain: give it our catalogue, which has its sentences too.
    os.environ["LANGUAGE"] = chosen
    gettext.bindtextdomain("jisr", str(LOCALE))
    gettext.textdomain("jisr")


def _parser(words: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jisr",
        description=_("Jisr reads medical devices that were never made to be connected, and delivers what they say."),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"jisr {VERSION}", help=_("show the version and exit"))
    parser.add_argument("--lang", choices=language.LANGUAGES, help=_("language of what is said"))
    commands = parser.add_subparsers(dest="command", metavar=_("COMMAND"), required=True)
    for name, line in COMMANDS.items():
        sub = commands.add_parser(
            name, help=_(line), description=_(line), formatter_class=argparse.RawDescriptionHelpFormatter
        )
        sub.add_argument("--lang", choices=language.LANGUAGES, help=_("language of what is said"))
        if name in words:  # only the command that is asked for is loaded: the others may need extras
            module = importlib.import_module(f"provisioning.commands.{name}")
            module.add(sub)
            sub.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
