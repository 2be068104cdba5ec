"""The whole line as its users run it: broker, `jisr consume`, `jisr run`, and simulated devices at its ports."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simulators.central.broker import ACL, CONSUMER, Mosquitto, free_port
from simulators.central.lab_ca import LabAuthority, Pair
from simulators.devices.astm import Astm
from simulators.devices.draeger_medibus import DraegerMedibus
from simulators.devices.registers import Registers
from simulators.devices.runner import pty_line, tcp_client, tcp_server
from tests.e2e.backstage import Backstage
from tests.e2e.ledger import Findings, judge, rows_of, wire_disorder
from tests.e2e.onlookers import OBSERVER, FeedListener, Name, WireListener
from tests.e2e.processes import UNDER, Processes

GATEWAY, SITE = "gw-e2e", "site-1"
PATIENCE_S = 60.0
LOOK_S = 0.05

CONFIG = """\
[gateway]
id = "{gateway}"
site = "{site}"
language = "en"
socket = "agent.sock"

[uplink]
broker = "mqtts://localhost:{port}"
ack_key = "{ack_key}"
tls = {{ ca = "{ca}", certificate = "{certificate}", key = "{key}" }}
{uplink}

[spool]
path = "{spool}"
"""
VENTILATOR = """
[[device]]
name = "vent"
driver = "draeger_medibus"
profile = "evita_4"
port = "serial:{vent}"
line = "19200 8E1"
mode = "test"
first_trial = "no_patient"
options = {{ curves = ["00", "01"] }}
"""
ANALYZER = """
[[device]]
name = "labo"
driver = "astm"
profile = "erba_xl"
port = "tcp-listen:127.0.0.1:{labo}"
mode = "test"
"""
GENSET = """
[[device]]
name = "genset"
driver = "registers"
profile = "dse_73xx"
port = "modbus-tcp:127.0.0.1:{genset}"
mode = "test"
options = {{ unit = 10 }}
"""
ALL = (VENTILATOR, ANALYZER, GENSET)
BRISK = {"reply_timeout_s": "4", "repeat_after_s": "0.5", "busy_wait_s": "0.5"}
"""An analyzer that tries again soon, so that a test is short."""


class Line:
    """Use `running_line()`. Nothing is started until it is asked for."""

    def __init__(self, folder: Path, stage: Backstage, *, acl: str = "", **broker: str) -> None:
        self.folder, self.stage = folder, stage
        self.authority = LabAuthority(folder / "pki")
        self.box = self.authority.gateway(GATEWAY)
        look_on = f"\nuser {OBSERVER}\ntopic read jisr/v1/#\n"
        rules = acl or ACL.format(consumer=CONSUMER)
        self.broker = Mosquitto(folder / "broker", self.authority, extra=broker, acl=rules + look_on, under=UNDER)
        self.acl_file = folder / "broker" / "acl"
        self.port = self.broker.port
        """Where the agent calls: a proxy's port, where there is one."""
        self.spool = folder / "spool"
        self.uplink = ""
        """More lines for [uplink]."""
        self.store = folder / "platform.sqlite"
        self.processes = Processes(folder)
        self.feed = FeedListener(folder / "agent.sock")
        self.wire: WireListener | None = None
        self.analyzer: Astm | None = None
        self._ports = {"vent": str(folder / "vent"), "labo": str(free_port()), "genset": str(free_port())}
        self._devices: Sequence[str] = ()
        self.starts = 0
        self.spoilt: dict[str, str] = {}
        """Environment of the agent, for tests/e2e/faults.py; empty: the plain product."""
        stage.begin(self.feed.listen())

    # -- parts ----------------------------------------------------------------------------------------------------

    def plug_in(self, *devices: str, every_s: float = 0.3, **options: str) -> None:
        """Simulated devices for these pieces of configuration; `options` are the analyzer's."""
        self._devices = devices
        if VENTILATOR in devices:
            vent = DraegerMedibus(seed=1, options={"period_s": "0.2"})
            self.stage.enter(pty_line(vent, Path(self._ports["vent"])))
        if GENSET in devices:
            self.stage.enter(tcp_server(Registers(seed=1), "127.0.0.1", int(self._ports["genset"])))
        if ANALYZER in devices:
            wanted = BRISK | {"every_s": str(every_s)} | options
            self.analyzer = Astm(seed=1, options=wanted)
            self.stage.enter(tcp_client(self.analyzer, "127.0.0.1", int(self._ports["labo"])))

    def write_config(self, *, with_devices: bool = True) -> None:
        """The agent's configuration as the attributes have it now."""
        text = CONFIG.format(
            gateway=GATEWAY,
            site=SITE,
            port=self.port,
            ack_key=self.authority.ack_key(),
            ca=self.authority.ca,
            certificate=self.box.certificate,
            key=self.box.key,
            uplink=self.uplink,
            spool=self.spool,
        )
        for device in self._devices if with_devices else ():
            text += device.format(**self._ports)
        (self.folder / "jisr.toml").write_text(text, encoding="utf-8")

    def start(self) -> None:
        """Broker, consumer, agent."""
        self.broker.start()
        self.start_consumer()
        self.start_agent()

    def start_agent(self, *, with_devices: bool = True) -> None:
        """The real agent, by its real command."""
        self.write_config(with_devices=with_devices)
        self.starts += 1
        module = "tests.e2e.faults" if self.spoilt else "provisioning.command"
        self.processes.start("agent", "-m", module, "run", str(self.folder / "jisr.toml"), env=self.spoilt)

    def start_consumer(self) -> None:
        """The reference consumer, by its real command."""
        pair: Pair = self.authority.consumer(CONSUMER)
        self.processes.start(
            "consumer",
            *("-m", "provisioning.command", "consume", "--quiet"),
            f"--broker={self.broker.url}",
            f"--ca={self.authority.ca}",
            f"--certificate={pair.certificate}",
            f"--key={pair.key}",
            f"--ack-key={self.authority.ack_key()}",
            f"--store={self.store}",
        )

    def look_on(self) -> WireListener:
        """See what passes the broker."""
        self.wire = WireListener(self.broker.port, self.authority)
        self.wire.start()
        return self.wire

    @property
    def acknowledged(self) -> int:
        """Messages whose every frame the box has acknowledged to the analyzer."""
        assert self.analyzer is not None
        return sum(one.status == "delivered" for one in self.analyzer.deliveries)

    # -- what it shows --------------------------------------------------------------------------------------------

    def until(self, reached: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
        """Wait for it; what happens in another process cannot be awaited, only looked at."""
        end = time.monotonic() + seconds
        while not reached():
            assert not self.processes.dead(), f"{what}: {self.processes.dead()} ended\n{self.tail()}"
            assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s\n{self.tail()}"
            time.sleep(LOOK_S)

    @property
    def is_connected(self) -> bool:
        """The agent says so."""
        return bool(self.feed.status and self.feed.status["uplink"]["connected"])

    @property
    def breaks(self) -> int:
        """How often a connection to the broker ended."""
        return len(self.events("disconnected"))

    @property
    def waiting(self) -> int:
        """Observations on the box's disk that the platform has not acknowledged; -1 while no agent says."""
        status = self.feed.status
        return -1 if status is None else sum(depth["observations"] for depth in status["depth"].values())

    def said(self) -> list[str]:
        """The kinds of sentence the agent said to people, in order."""
        return [str(event["kind"]) for event in self.events() if event["event"] == "say"]

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """The agent's journal, all lives; or its events of one name."""
        lines = self.processes.log("agent").splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [event for event in found if name in ("", event["event"])]

    def tail(self) -> str:
        """The end of the journals, for a failure's report."""
        ends = [f"--- {name}\n{self.processes.log(name)[-1500:]}" for name in ("agent", "consumer")]
        return "\n".join([*ends, f"--- status\n{self.feed.status}"])

    def read_on(self, more: int, seconds: float = PATIENCE_S) -> None:
        """The devices are read: so many more observations come to disk."""
        wanted = len(self.feed.promised) + more
        self.until(lambda: len(self.feed.promised) >= wanted, f"{more} more on disk", seconds)

    def arrive(self, seconds: float = PATIENCE_S) -> None:
        """All that is promised now is in the store, brought by the agent that runs, with no restart."""
        promised = set(self.feed.promised)
        self.until(lambda: promised <= self.names(), f"{len(promised)} observations arrive", seconds)

    def names(self) -> set[Name]:
        """What the platform holds; nothing while its store is being made."""
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as database:
                return set(database.execute("SELECT epoch, lane, seq FROM observations").fetchall())
        except sqlite3.OperationalError:
            return set()

    # -- the end --------------------------------------------------------------------------------------------------

    def drain(self, seconds: float = PATIENCE_S) -> None:
        """Stop the agent in order, and let one without devices deliver what is left."""
        if self.processes.is_alive("agent"):
            self.processes.terminate("agent")
        self.start_agent(with_devices=False)
        self.until(lambda: self.is_connected and self.waiting == 0, "everything acknowledged", seconds)
        self.processes.terminate("agent")

    def verdict(self, seconds: float = PATIENCE_S) -> Findings:
        """Drain, and judge everything that ever happened here."""
        self.drain(seconds)
        messages = self.analyzer.deliveries if self.analyzer else ()
        found = judge(rows_of(self.store), self.feed.promised, messages)
        if self.wire is not None:
            found.add("wire disorder", wire_disorder(self.wire.flights))
        return found

    def close(self) -> None:
        """End everything."""
        self.processes.close()
        if self.wire is not None:
            self.wire.stop()
        self.broker.kill()


@contextmanager
def running_line(folder: Path, *, acl: str = "", **broker: str) -> Iterator[Line]:
    """A line whose parts are all gone afterwards."""
    with Backstage() as stage:
        line = Line(folder, stage, acl=acl, **broker)
        try:
            yield line
        finally:
            line.close()
