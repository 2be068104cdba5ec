"""`jisr consume`: the reference consumer."""

import argparse
import signal
import sqlite3
import sys
import threading
from pathlib import Path

from drivers.observation import AnyObservation, to_json
from gateway.errors import JisrError
from gateway.language import N_, _
from gateway.uplink.tls import parse_broker
from gateway.uplink.topics import is_segment
from provisioning import arrival
from simulators.central.consumer import Consumer
from simulators.central.lab_ca import Pair


class FilesUnreadable(JisrError):
    """Certificates, keys or the store cannot be used."""

    exit_code = 2
    sentence = N_("The certificates, the keys or the store cannot be used ({detail}).")


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of `jisr consume`."""
    parser.add_argument("--broker", metavar=_("mqtts://HOST:PORT"), help=_("where to connect"))
    parser.add_argument("--ca", metavar=_("FILE"), required=True, type=Path, help=_("the programme's CA, PEM"))
    parser.add_argument("--certificate", metavar=_("FILE"), type=Path, help=_("this consumer's certificate, PEM"))
    parser.add_argument(
        "--key",
        metavar=_("FILE"),
        type=Path,
        help=_("its private key, PEM; with --import that of the courier certificate"),
    )
    parser.add_argument("--ack-key", metavar=_("FILE"), type=Path, help=_("the key acknowledgements are signed with"))
    parser.add_argument(
        "--store", metavar=_("FILE"), required=True, type=Path, help=_("SQLite file; it is made if it is not there")
    )
    parser.add_argument(
        "--client-id", metavar=_("NAME"), default="platform", help=_("as the broker knows this certificate")
    )
    parser.add_argument(
        "--share",
        metavar=_("NAME"),
        type=_share,
        help=_("divide the work with other consumers of the same NAME and the same --store file"),
    )
    parser.add_argument("--quiet", action="store_true", help=_("do not print the observations"))
    arrival.add(parser)
    parser.set_defaults(refuse=parser.error)
    parser.epilog = _(
        "Example: jisr consume --broker mqtts://platform.example:8883 --ca ca.pem --certificate consumer.pem \\\n"
        "  --key consumer.key --ack-key ack.key --store platform.sqlite"
    )
    parser.epilog += "\n" + arrival.example()


def run(arguments: argparse.Namespace) -> int:
    """Store and acknowledge until told to stop; prints canonical JSON lines, and the ledger at the end."""
    _check(arguments)
    if arguments.paths:
        return arrival.run(arguments)
    broker = parse_broker(arguments.broker)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        consumer = Consumer(
            arguments.store,
            host=broker.host,
            port=broker.port,
            ca=arguments.ca,
            identity=Pair(arguments.certificate, arguments.key),
            ack_key=arguments.ack_key,
            client_id=arguments.client_id,
            share=arguments.share or "",
            on_observation=None if arguments.quiet else _print,
            on_link=_Link(arguments.broker).tell,
            on_store=_Store().tell,
        )
    except (OSError, ValueError, sqlite3.Error) as error:
        raise FilesUnreadable(detail=error) from error
    consumer.start()
    stop.wait()
    ledger = consumer.ledger()
    consumer.stop()
    told = _("{rows} observations stored, {duplicates} stored twice, {missing} missing.")
    sys.stderr.write(told.format(rows=ledger.rows, duplicates=ledger.duplicates, missing=ledger.missing) + "\n")
    return 0


def _share(name: str) -> str:
    if not is_segment(name):
        raise argparse.ArgumentTypeError(_("use 1 to 64 letters without accents, digits, . _ or -"))
    return name


def _check(arguments: argparse.Namespace) -> None:
    """What argparse cannot know: over the link everything is needed, for files the word needs its key."""
    needed: tuple[str, ...] = ("ack_key",) if arguments.paths and arguments.ack_out else ()
    if not arguments.paths:
        needed = ("broker", "certificate", "key", "ack_key")
    missing = ", ".join("--" + name.replace("_", "-") for name in needed if getattr(arguments, name) is None)
    if missing:
        arguments.refuse(_("the following arguments are required: %s") % missing)


class _Link:
    """Says whether the broker is reached, once until it changes."""

    def __init__(self, broker: str) -> None:
        self._broker, self._said = broker, ""

    def tell(self, why: str) -> None:
        """`why` there is no connection; empty when there is one."""
        if why:
            sentence = _("{broker}: not connected ({why}); trying again.").format(broker=self._broker, why=why)
        else:
            sentence = _("{broker}: connected.").format(broker=self._broker)
        if sentence != self._said:
            self._said = sentence
            sys.stderr.write(sentence + "\n")
            sys.stderr.flush()


class _Store:
    """Says that the store refuses, and that it takes observations again."""

    def __init__(self) -> None:
        self._why = ""

    def tell(self, why: str) -> None:
        """`why` nothing can be stored; empty when something was."""
        if why == self._why:
            return
        self._why = why
        if why:
            sentence = _("The store refuses ({why}): nothing is acknowledged; trying again.").format(why=why)
        else:
            sentence = _("The store takes observations again.")
        sys.stderr.write(sentence + "\n")
        sys.stderr.flush()


def _print(observation: AnyObservation) -> None:
    sys.stdout.write(to_json(observation).decode() + "\n")
    sys.stdout.flush()
