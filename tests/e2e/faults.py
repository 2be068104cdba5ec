"""`python -m tests.e2e.faults run FILE`: the real `jisr run` on a machine whose disk obeys a folder.

The folder is named by `E2E_FAULTS`. While a file is there the fault is: `flush` holds the name of the error that
fdatasync gives, `write` that of pwrite and posix_fallocate.
`E2E_KEEPALIVE` and `E2E_CONFIRM` are shorter times than the product's (keep-alive, and how long it waits for the
broker's confirmations), for tests that wait until they end.
"""

import errno
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

FOLDER, KEEPALIVE, CONFIRM = "E2E_FAULTS", "E2E_KEEPALIVE", "E2E_CONFIRM"
FLUSH, WRITE = "flush", "write"


def _word(name: str) -> str:
    try:
        return (Path(os.environ.get(FOLDER, "/nowhere")) / name).read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def _failing(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def spoiled(*arguments: Any) -> Any:
        if word := _word(name):
            number = getattr(errno, word)
            raise OSError(number, os.strerror(number))
        return call(*arguments)

    return spoiled


def main() -> int:
    """Spoil, then run: the product's modules take these functions as they are when they are imported."""
    os.fdatasync = _failing(FLUSH, os.fdatasync)
    os.pwrite = _failing(WRITE, os.pwrite)
    os.posix_fallocate = _failing(WRITE, os.posix_fallocate)
    if seconds := os.environ.get(KEEPALIVE):
        from gateway.uplink import mqtt

        mqtt.KEEPALIVE_S = int(seconds)
    if seconds := os.environ.get(CONFIRM):
        from gateway.uplink import uplink

        uplink.Timing = partial(uplink.Timing, confirm_s=float(seconds))  # type: ignore[misc,assignment]
    from provisioning.command import main as jisr

    return jisr()


if __name__ == "__main__":
    sys.exit(main())
