"""A thread with a loop of its own, where devices, links and onlookers live beside the test that steers them."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Self, TypeVar

T = TypeVar("T")
PATIENCE_S = 30.0


class Backstage:
    """`with Backstage() as stage`: what was entered or begun on its loop is gone at the end, in reverse order."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="backstage", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.run(self._end())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE_S)
            self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` on the loop; its result here."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def enter(self, context: AbstractAsyncContextManager[T]) -> T:
        """What `async with context` gives; left at the end."""
        return self.run(self._stack.enter_async_context(context))

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Work that goes on until the end; a failure of it is raised there."""

        async def create() -> None:
            self._tasks.append(asyncio.create_task(work))

        self.run(create())

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()
        for result in results:
            if isinstance(result, Exception):
                raise result
