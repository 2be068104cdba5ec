"""An event loop whose clock is turned by hand: where nothing is left to do, the next timer is due at once.

Hours of an analyzer pass in milliseconds, in one thread, and the same seed is the same run.
"""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

_T = TypeVar("_T")


class _Clockwork(selectors.DefaultSelector):
    """Waits for no file: it turns the clock by the time that it was to wait."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits, and no timer is set")
        self.now += max(timeout, 0.0)
        return []


class HandLoop(asyncio.SelectorEventLoop):
    """`time()` is what was slept; what is given to a thread is done at once."""

    def __init__(self) -> None:
        self._clockwork = _Clockwork()
        super().__init__(self._clockwork)

    def time(self) -> float:
        return self._clockwork.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., _T], *args: Any
    ) -> asyncio.Future[_T]:
        done: asyncio.Future[_T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - a thread hands on whatever it met
            done.set_exception(error)
        return done
