"""Monitors' numerics as the agent stamps them, made once: making them is the devices' work, not the line's."""

from functools import cache

from drivers.observation import AnyObservation, stamp
from gateway.uplink.envelope import decode_observations
from tests.gateway.uplink.monitor_frames import monitor_frame

POOL_SEED, POOL_S = 2026, 60


@cache
def _pool() -> tuple[AnyObservation, ...]:
    frame = monitor_frame(POOL_SEED, seconds=POOL_S)
    return tuple(stamp(one, gateway="", epoch=0, lane=None, seq=0) for one in decode_observations(frame))


def numerics(number: int, count: int) -> list[AnyObservation]:
    """`count` numerics out of a minute of six monitors; another `number`, another place in it."""
    pool, found = _pool(), list[AnyObservation]()
    at = number * count % len(pool)
    while len(found) < count:
        found += pool[at : at + count - len(found)]
        at = 0
    return found
