"""`jisr consume`: the reference consumer."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from drivers.observation import AnyObservation, to_json
from gateway.errors import JisrError
from gateway.language import N_, _
from gateway.uplink.tls import parse_broker
from simulators.central.consumer import Consumer
from simulators.central.lab_ca import Pair


class FilesUnreadable(JisrError):
    """Certificates, keys or the store cannot be used."""

    exit_code = 2
    sentence = N_("The certificates, the keys or the store cannot be used ({detail}).")


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of `jisr consume`."""
    parser.add_argument("--broker", required=True, metavar="mqtts://HOST:PORT", help=_("where to connect"))
    parser.add_argument("--ca", required=True, type=Path, help=_("the programme's CA, PEM"))
    parser.add_argument("--certificate", required=True, type=Path, help=_("this consumer's certificate, PEM"))
    parser.add_argument("--key", required=True, type=Path, help=_("its private key, PEM"))
    parser.add_argument("--ack-key", required=True, type=Path, help=_("the key acknowledgements are signed with"))
    parser.add_argument("--store", required=True, type=Path, help=_("SQLite file; it is made if it is not there"))
    parser.add_argument("--client-id", default="platform", help=_("as the broker knows this certificate"))
    parser.add_argument("--quiet", action="store_true", help=_("do not print the observations"))
    parser.epilog = _(
        "Example: jisr consume --broker mqtts://platform.example:8883 --ca ca.pem --certificate consumer.pem \\\n"
        "  --key consumer.key --ack-key ack.key --store platform.sqlite"
    )


def run(arguments: argparse.Namespace) -> int:
    """Store and acknowledge until told to stop; prints canonical JSON lines, and the ledger at the end."""
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
            on_observation=None if arguments.quiet else _print,
        )
    except (OSError, ValueError) as error:
        raise FilesUnreadable(detail=error) from error
    consumer.start()
    stop.wait()
    consumer.stop()
    return 0


def _print(observation: AnyObservation) -> None:
    sys.stdout.write(to_json(observation).decode() + "\n")
    sys.stdout.flush()
