"""How the box connects, also while its clock is wrong.

The clock of a box without a battery begins anywhere, and a wrong clock makes a good certificate look bad. So where
nothing but dates is wrong with the broker's chain, and nothing confirms our clock, ONE connection is made whose dates
nobody has checked. Nothing goes out on it but a question about the time; nothing that comes in counts but the answer,
which is signed with a key that the broker does not have. By that time the dates are judged before anything else is
sent, on a new connection. A connection that was good by an unconfirmed clock asks at once as well, and ends if the
answer says that its dates were not.
"""

import asyncio
import ssl
import time
from collections.abc import Callable

from msgspec import Struct

from drivers.observation import ClockQuality
from gateway.clock import TRUSTED, Fix, utc_text
from gateway.uplink import errors
from gateway.uplink.identity import TlsPaths
from gateway.uplink.mqtt import Connection
from gateway.uplink.terms import Journal, Timing
from gateway.uplink.timekeeper import NoTime, Timekeeper
from gateway.uplink.tls import Broker, Dating, check_time, connect
from gateway.uplink.topics import ack_filter

SUBJECT = "clock"
FAREWELL_S = 1.0
_DATES = (errors.ServerNotYet, errors.ServerExpired, errors.RevocationListDated)


class SystemTime:
    """The system's clock, believed: for who has no better one."""

    quality: ClockQuality = "ntp"
    proven_s = 0.0

    def __init__(self, wall: Callable[[], float] = time.time, mono: Callable[[], float] = time.monotonic) -> None:
        self.wall, self.mono = wall, mono

    def accept(self, fix: Fix) -> bool:  # noqa: ARG002
        """Never."""
        return False


class Dialled(Struct, frozen=True):
    """Where to connect, and as whom."""

    broker: Broker
    files: TlsPaths
    site: str
    gateway: str
    key: bytes
    """Of the acknowledgements; empty where the platform cannot sign."""


async def dial(to: Dialled, keeper: Timekeeper, journal: Journal, timing: Timing) -> ssl.SSLSocket:
    """A connection whose dates somebody has checked, asking the time before where that must be.

    Raises leaves of `UplinkError`.
    """
    quality = keeper.clock.quality
    if quality in TRUSTED:
        return await _connect(to, keeper, timing, "ours" if quality == "signed" else "system")
    now = utc_text(keeper.clock.wall())[:10]
    try:
        secure = await _connect(to, keeper, timing, "doubtful")
    except errors.ServerLongOver:
        raise
    except _DATES as error:
        if not to.key:
            raise errors.ClockDoubtful(now=now) from error
        journal.say(errors.TimeAsked(now=now), SUBJECT)
    else:
        journal.say(errors.ClockUnconfirmed(now=now), SUBJECT)
        return secure
    await _fetch_time(to, keeper, journal, timing)
    return await _connect(to, keeper, timing, "ours")


def watch(secure: ssl.SSLSocket, to: Dialled, keeper: Timekeeper) -> None:
    """From now on each answer about the time judges this connection too."""
    keeper.recheck = lambda: check_time(secure, to.files, keeper.clock.wall())


async def _connect(to: Dialled, keeper: Timekeeper, timing: Timing, dating: Dating) -> ssl.SSLSocket:
    return await connect(
        to.broker,
        to.files,
        gateway=to.gateway,
        wall=keeper.clock.wall(),
        timeout_s=timing.connect_s,
        dating=dating,
        floor=keeper.clock.proven_s,
    )


async def _fetch_time(to: Dialled, keeper: Timekeeper, journal: Journal, timing: Timing) -> None:
    secure = await _connect(to, keeper, timing, "unchecked")
    question = _Question(to.key, keeper, journal)
    connection = Connection(secure, to.gateway, None, question)
    try:
        await connection.start(timing.connack_s)
        connection.subscribe(ack_filter(to.site, to.gateway))
        async with asyncio.timeout(timing.time_s):
            await question.is_subscribed.wait()
            connection.publish(keeper.ask())
            await question.answered
    except TimeoutError as error:
        now = utc_text(keeper.clock.wall())[:10]
        raise errors.TimeUnanswered(now=now, seconds=round(timing.time_s)) from error
    finally:
        await connection.close(FAREWELL_S)


class _Question:
    """The listener of the one connection on which nothing but the time is asked."""

    def __init__(self, key: bytes, keeper: Timekeeper, journal: Journal) -> None:
        self._key, self._keeper, self._journal = key, keeper, journal
        self.is_subscribed = asyncio.Event()
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def published(self, mid: int, code: int, reason: str) -> None:
        """The broker has the question, or does not take it: then nobody answers."""

    def subscribed(self, codes: tuple[int, ...]) -> None:
        """Only now could an answer come."""
        self.is_subscribed.set()

    def received(self, topic: str, payload: bytes) -> None:
        """Acknowledgements that come as well are left with the broker, unconfirmed."""
        if self.answered.done() or not topic.endswith("/ack/time"):
            return
        try:
            self._keeper.hear(self._key, topic, payload)
        except NoTime as refused:
            self._journal.say(errors.TimeRefused(reason=refused.reason), "time answer")
        else:
            self.answered.set_result(None)

    def lost(self, error: errors.UplinkError) -> None:
        """The line broke before the answer."""
        self.is_subscribed.set()
        if not self.answered.done():
            self.answered.set_exception(error)
            self.answered.exception()  # retrieved: nobody may be waiting for it yet
