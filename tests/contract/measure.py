"""CPU time and memory of a driver, without what measuring itself costs."""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from drivers.profile import Profile

NOISE_BUDGET = 17.0
"""The 50 ms of CPU that 64 kB of noise may cost, in yardsticks."""

_BYTES = bytes(range(256)) * 256
_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


@contextmanager
def _untraced() -> Iterator[None]:
    """Coverage counts every line; a budget of CPU time is for the lines alone."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


def cost(prepare: Callable[[], Callable[[], object]], limit: float = NOISE_BUDGET, runs: int = 30) -> float:
    """CPU time of what `prepare` returns, in yardsticks run in turn with it: the machine's speed drops out.

    The best run of each counts, and running ends at the first one that keeps `limit`.
    """
    action = yardstick = float("inf")
    for _run in range(runs):
        yardstick = min(yardstick, yardstick_s())
        action = min(action, _seconds(prepare()))
        if action <= limit * yardstick:
            break
    return action / yardstick


def _seconds(action: Callable[[], object]) -> float:
    with _untraced():
        begun = time.process_time()
        action()
        return time.process_time() - begun


def yardstick_s() -> float:
    """CPU seconds of the yardstick now."""
    return _seconds(_yardstick)


def _yardstick() -> None:
    """One look-up and one addition for each of 64 kB: 2.9 to 3.0 ms on the machine of docs/delivery.md."""
    seen: dict[int, int] = {}
    for byte in _BYTES:
        seen[byte] = seen.get(byte, 0) + 1


def held_bytes(driver: object, profile: Profile) -> int:
    """What a driver holds on to, deep; classes and its profile are not its own."""
    seen = {id(thing) for thing in _reachable([profile])}
    return sum(sys.getsizeof(thing) for thing in _reachable([driver]) if id(thing) not in seen)


def _reachable(first: list[Any]) -> Iterator[Any]:
    seen: set[int] = set()
    todo = list(first)
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, _SHARED):
            continue
        seen.add(id(thing))
        yield thing
        todo += gc.get_referents(thing)
