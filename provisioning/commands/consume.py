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
    parser.add_argument("--broker", required=True, metavar=_("mqtts://HOST:PORT"), help=_("where to connect"))
    parser.add_argument("--ca", metavar=_("FILE"), required=True, type=Path, help=_("the programme's CA, PEM"))
    parser.add_argument(
        "--certificate", metavar=_("FILE"), required=True, type=Path, help=_("this consumer's certificate, PEM")
    )
    parser.add_argument("--key", metavar=_("FILE"), required=True, type=Path, help=_("its private key, PEM"))
    parser.add_argument(
        "--ack-key", metavar=_("FILE"), required=True, type=Path, help=_("the key acknowledgements are signed with")
    )
    parser.add_argument(
        "--store", metavar=_("FILE"), required=True, type=Path, help=_("SQLite file; it is made if it is not there")
    )
    parser.add_argument(
        "--client-id", metavar=_("NAME"), default="platform", help=_("as the broker knows this certificate")
    )
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
            on_link=_Link(arguments.broker).tell,
        )
    except (OSError, ValueError) as error:
        raise FilesUnreadable(detail=error) from error
    consumer.start()
    stop.wait()
    ledger = consumer.ledger()
    consumer.stop()
    told = _("{rows} observations stored, {duplicates} stored twice, {missing} missing.")
    sys.stderr.write(told.format(rows=ledger.rows, duplicates=ledger.duplicates, missing=ledger.missing) + "\n")
    return 0


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


def _print(observation: AnyObservation) -> None:
    sys.stdout.write(to_json(observation).decode() + "\n")
    sys.stdout.flush()
