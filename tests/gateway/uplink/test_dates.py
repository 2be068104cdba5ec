"""TLS while the clock is wrong: dates may be judged later or by us, everything else is judged as ever."""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest

from gateway.uplink import errors
from gateway.uplink.dates import check_lists, verified_chain
from gateway.uplink.identity import TlsFiles, utc
from gateway.uplink.tls import Broker, Dating, Witness, connect
from simulators.central.lab_ca import CLIENT, SERVER, LabAuthority, Pair
from tests.gateway.uplink.test_tls import CERTIFICATES, GATEWAY, NAMES, VERSIONS, bad_pair
from tests.gateway.uplink.tls_server import Server, server_context

DAY = timedelta(days=1)
DAY_S = 86_400.0
DATINGS: tuple[Dating, ...] = get_args(Dating)
ONLY_DATES = ("expired", "not_yet")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> LabAuthority:
    """Made three weeks ago, so that there is a time before today in which its certificates are good."""
    now = time.time()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulators.central.lab_ca.time.time", lambda: now - 20 * DAY_S)
        made = LabAuthority(tmp_path_factory.mktemp("ca"))
    made._now = datetime.fromtimestamp(now, UTC)
    return made


@pytest.fixture(scope="module")
def files(authority: LabAuthority) -> TlsFiles:
    """A box whose own certificate is good for decades both ways."""
    pair = authority.issue(
        "long", GATEWAY, san=(f"urn:jisr:gateway:{GATEWAY}",), purposes=CLIENT, begins=-9000 * DAY, life=18_000 * DAY
    )
    return TlsFiles(str(authority.ca), str(pair.certificate), str(pair.key))


@pytest.fixture
def serve(authority: LabAuthority) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(pair: Pair, version: ssl.TLSVersion | None = None) -> Server:
        context = server_context(authority, pair, version)
        servers.append(Server(context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def dial(port: int, files: TlsFiles, dating: Dating, days: float = 0.0, floor: float = 0.0) -> None:
    async def once() -> None:
        where, wall = Broker("localhost", port), time.time() + days * DAY_S
        secure = await connect(where, files, gateway=GATEWAY, wall=wall, timeout_s=5.0, dating=dating, floor=floor)
        secure.close()

    asyncio.run(once())


@pytest.mark.parametrize("dating", ["doubtful", "ours", "unchecked"])
@pytest.mark.parametrize("version", VERSIONS, ids=["tls12", "tls13"])
@pytest.mark.parametrize("kind", [kind for kind in CERTIFICATES if kind not in ONLY_DATES])
def test_what_is_wrong_apart_from_dates_is_refused_by_every_clock(
    kind: str,
    version: ssl.TLSVersion,
    dating: Dating,
    authority: LabAuthority,
    files: TlsFiles,
    serve: Callable[..., Server],
    tmp_path: Path,
) -> None:
    pair = bad_pair(kind, authority, tmp_path)
    if kind == "revoked":
        files = TlsFiles(files.ca, files.certificate, files.key, str(authority.crl([pair])))
    server = serve(pair, version)
    with pytest.raises(errors.BrokerUntrusted) as caught:
        dial(server.port, files, dating)
    assert type(caught.value) is CERTIFICATES[kind]
    server.close()
    assert server.inside == b""


@pytest.mark.parametrize("dating", DATINGS)
def test_a_server_that_does_not_ask_for_our_certificate(
    dating: Dating, authority: LabAuthority, files: TlsFiles
) -> None:
    context = server_context(authority, authority.server())
    context.verify_mode = ssl.CERT_NONE
    server = Server(context)
    with pytest.raises(errors.ServerAsksNothing):
        dial(server.port, files, dating)
    server.close()
    assert server.inside == b""


@pytest.mark.parametrize(
    ("kind", "dating", "days", "leaf"),
    [
        ("expired", "system", 0, errors.ServerExpired),
        ("expired", "doubtful", 0, errors.ServerExpired),
        ("expired", "ours", 0, errors.ServerExpired),
        ("expired", "ours", -8.5, None),  # our time is right, the system's is not
        ("expired", "ours", -9.5, errors.ServerNotYet),
        ("expired", "unchecked", 0, None),
        ("not_yet", "system", 0, errors.ServerNotYet),
        ("not_yet", "doubtful", 0, errors.ServerNotYet),
        ("not_yet", "ours", 0, errors.ServerNotYet),
        ("not_yet", "ours", 9.5, None),
        ("not_yet", "ours", 100, errors.ServerExpired),
        ("not_yet", "unchecked", 0, None),
    ],
)
def test_dates_of_the_server_s_certificate(
    kind: str,
    dating: Dating,
    days: float,
    leaf: type[errors.UplinkError] | None,
    authority: LabAuthority,
    files: TlsFiles,
    serve: Callable[..., Server],
    tmp_path: Path,
) -> None:
    server = serve(bad_pair(kind, authority, tmp_path))
    if leaf is None:
        dial(server.port, files, dating, days)
        return
    with pytest.raises(errors.BrokerUntrusted) as caught:
        dial(server.port, files, dating, days)
    assert type(caught.value) is leaf
    server.close()
    assert server.inside == b""


@pytest.mark.parametrize(
    ("years", "leaf"),
    [(0, None), (4.9, None), (5.1, errors.ServerExpired), (10.1, errors.ServerExpired), (-0.1, errors.ServerNotYet)],
)
def test_dates_of_the_authorities_count_as_well(
    years: float,
    leaf: type[errors.UplinkError] | None,
    authority: LabAuthority,
    files: TlsFiles,
    serve: Callable[..., Server],
) -> None:
    """The issuing authority lives five years, the root ten; the server's own certificate for ever, as it were."""
    pair = authority.issue("eternal", "localhost", san=NAMES, purposes=SERVER, begins=-9000 * DAY, life=18_000 * DAY)
    server = serve(pair)
    if leaf is None:
        dial(server.port, files, "ours", years * 365)
        return
    with pytest.raises(errors.BrokerUntrusted) as caught:
        dial(server.port, files, "ours", years * 365)
    assert type(caught.value) is leaf


@pytest.mark.parametrize("dating", DATINGS)
def test_what_ended_before_the_floor_is_over_by_any_clock(
    dating: Dating, authority: LabAuthority, files: TlsFiles, serve: Callable[..., Server]
) -> None:
    server = serve(authority.server())  # ends in 89 days
    dial(server.port, files, dating, floor=time.time() + 88 * DAY_S)
    with pytest.raises(errors.ServerLongOver):
        dial(server.port, files, dating, floor=time.time() + 90 * DAY_S)
    server.close()
    assert server.inside == b""


@pytest.mark.parametrize(
    ("dating", "days", "leaf"),
    [
        ("system", 100, errors.CertificateExpired),
        ("system", -2, errors.CertificateNotYet),
        ("ours", 100, errors.CertificateExpired),
        ("ours", -2, errors.CertificateNotYet),
        ("doubtful", 100, None),
        ("doubtful", -20_000, None),
        ("unchecked", 100, None),
        ("unchecked", -20_000, None),
    ],
)
def test_our_own_dates_keep_us_away_only_by_a_trusted_clock(
    dating: Dating,
    days: float,
    leaf: type[errors.UplinkError] | None,
    authority: LabAuthority,
    serve: Callable[..., Server],
) -> None:
    pair = authority.gateway(GATEWAY)
    mine = TlsFiles(str(authority.ca), str(pair.certificate), str(pair.key))
    server = serve(authority.server())
    if leaf is None:
        dial(server.port, mine, dating, days)
        return
    with pytest.raises(leaf):
        dial(server.port, mine, dating, days)


@pytest.mark.parametrize(
    ("dating", "days", "leaf"),
    [
        ("system", 0, errors.RevocationListDated),
        ("doubtful", 0, errors.RevocationListDated),
        ("ours", 0, errors.RevocationListDated),
        ("ours", -1.5, None),
        ("ours", -2.5, errors.RevocationListDated),
        ("unchecked", 0, None),
    ],
)
def test_dates_of_revocation_lists(
    dating: Dating,
    days: float,
    leaf: type[errors.UplinkError] | None,
    authority: LabAuthority,
    files: TlsFiles,
    serve: Callable[..., Server],
) -> None:
    crl = authority.crl(life=-DAY, stem="old")  # from two days ago until yesterday
    mine = TlsFiles(files.ca, files.certificate, files.key, str(crl))
    server = serve(authority.issue("early", "localhost", san=NAMES, purposes=SERVER, begins=-9 * DAY))
    if leaf is None:
        dial(server.port, mine, dating, days)
        return
    with pytest.raises(errors.BrokerUntrusted) as caught:
        dial(server.port, mine, dating, days)
    assert type(caught.value) is leaf


def test_a_revoked_certificate_is_refused_also_by_a_list_whose_dates_are_wrong(
    authority: LabAuthority, files: TlsFiles, serve: Callable[..., Server]
) -> None:
    pair = authority.server(stem="revoked-long-ago")
    crl = authority.crl([pair], life=-DAY, stem="old-but-true")
    with pytest.raises(errors.ServerRevoked):
        dial(serve(pair).port, TlsFiles(files.ca, files.certificate, files.key, str(crl)), "unchecked")


def lists(authority: LabAuthority, files: TlsFiles, serve: Callable[..., Server], path: Path, days: float) -> None:
    async def once() -> None:
        where, wall = Broker("localhost", serve(authority.server()).port), time.time()
        secure = await connect(where, files, gateway=GATEWAY, wall=wall, timeout_s=5.0)
        with secure:
            check_lists(str(path), verified_chain(secure), utc(wall + days * DAY_S))

    asyncio.run(once())


def test_the_newest_list_of_each_issuer_counts(
    authority: LabAuthority, files: TlsFiles, serve: Callable[..., Server], tmp_path: Path
) -> None:
    old, fresh = authority.crl(life=-DAY, stem="a"), authority.crl(stem="b")
    both = tmp_path / "both.pem"
    both.write_bytes(fresh.read_bytes() + old.read_bytes())
    lists(authority, files, serve, both, 0)
    lists(authority, files, serve, both, 29)
    with pytest.raises(errors.RevocationListDated):
        lists(authority, files, serve, both, 31)
    with pytest.raises(errors.RevocationListDated):
        lists(authority, files, serve, both, -1.5)
    other = LabAuthority(tmp_path / "other", "Other").crl()
    with pytest.raises(errors.RevocationListOld):
        lists(authority, files, serve, other, 0)
    other.write_bytes(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
    with pytest.raises(errors.FileDamaged):
        lists(authority, files, serve, other, 0)


@pytest.mark.parametrize("dating", DATINGS)
def test_who_cannot_see_the_chain_connects_to_nothing(
    dating: Dating,
    authority: LabAuthority,
    files: TlsFiles,
    serve: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = serve(authority.server())
    monkeypatch.setattr(Witness, "see", lambda *_: None)
    with pytest.raises(errors.TlsBlind):
        dial(server.port, files, dating)
    server.close()
    assert server.inside == b""


def test_a_connection_without_a_verified_chain_is_none() -> None:
    class Blind:
        _sslobj = None

    with pytest.raises(errors.TlsBlind):
        verified_chain(Blind())  # type: ignore[arg-type]
