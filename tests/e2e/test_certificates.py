"""Certificates change while data flows: renewed in mid-stream, revoked, issued again. No frame is lost by it."""

from pathlib import Path

import pytest

from simulators.central.broker import find_mosquitto
from simulators.central.lab_ca import CLIENT, GATEWAY_URI, Pair
from tests.e2e.line import ALL, GATEWAY, Line, running_line
from tests.e2e.onlookers import Flight
from tests.e2e.proxy import proxy

pytestmark = [pytest.mark.alone, pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")]


def issue(line: Line, stem: str) -> Pair:
    return line.authority.issue(stem, GATEWAY, san=(GATEWAY_URI + GATEWAY,), purposes=CLIENT)


def install(line: Line, new: Pair) -> Pair:
    """Put a new pair in the place of the box's; returns the old one, for the revocation list."""
    old = Pair(line.box.certificate.with_suffix(".old"), line.box.key.with_suffix(".old-key"))
    for source, target, kept in zip(new, line.box, old, strict=True):
        target.rename(kept)
        source.rename(target)
    return old


def sent_again(flights: list[Flight]) -> int:
    """Observations that passed the broker more than once."""
    names = [(one.epoch, one.lane, seq) for one in flights for seq in range(one.first, one.last + 1)]
    return len(names) - len(set(names))


def test_renewed_in_mid_stream(tmp_path: Path) -> None:
    """The box takes new files by itself, in order, without a word of complaint; the old certificate may go."""
    crl = tmp_path / "revoked.pem"
    with running_line(tmp_path, crlfile=str(crl)) as line:
        crl.write_bytes(line.authority.crl().read_bytes())
        line.plug_in(*ALL)
        wire = line.look_on()
        line.start()
        line.until(lambda: len(line.names()) > 50, "the line runs")
        old = install(line, issue(line, "renewed"))
        line.until(lambda: len(line.events("connected")) == 2, "the box connects with the new certificate")
        crl.write_bytes(line.authority.crl([old]).read_bytes())
        line.broker.reload()
        line.arrive()
        assert [event for event in line.events("say") if event["subject"] == "uplink"] == []
        offline = [told for kind, told in wire.told if kind == "state" and told["state"] == "offline"]
        assert offline == []
        assert sent_again(wire.flights) < 100
        found = line.verdict()
        assert found.faults == {}


def test_revoked_and_issued_again(tmp_path: Path) -> None:
    """A revoked box is refused and says why, keeps everything, and delivers it with the certificate it is given."""
    crl = tmp_path / "revoked.pem"
    with running_line(tmp_path, crlfile=str(crl)) as line:
        crl.write_bytes(line.authority.crl().read_bytes())
        link = line.stage.enter(proxy(line.broker.port))
        line.port = link.port
        line.plug_in(*ALL)
        line.look_on()
        line.start()
        line.until(lambda: len(line.names()) > 50, "the line runs")
        crl.write_bytes(line.authority.crl([line.box]).read_bytes())
        line.broker.reload()
        line.stage.run(link.reset())
        line.until(lambda: "CertificateRefused" in line.said(), "the refusal is said")
        sentences = [event["sentence"] for event in line.events("say") if event["kind"] == "CertificateRefused"]
        assert sentences == ["The broker refuses this box's certificate: revoked."]
        line.until(lambda: line.waiting > 100, "everything is kept")
        new = issue(line, "again")
        install(line, new)
        line.arrive()
        found = line.verdict()
        assert found.faults == {}
        assert found.gaps == []
