"""CPU time and memory of a driver, without what measuring itself costs."""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from drivers.profile import Profile

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


def cpu_ms(prepare: Callable[[], Callable[[], object]], best_of: int = 5) -> float:
    """CPU milliseconds of what `prepare` returns, the best of some runs."""
    best = float("inf")
    for _run in range(best_of):
        action = prepare()
        with _untraced():
            begun = time.process_time()
            action()
            best = min(best, time.process_time() - begun)
    return best * 1000


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
