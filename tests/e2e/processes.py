"""Programs of one test, each in a session of its own, and none left when the test is over, however it ends."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

_SETPRIV = shutil.which("setpriv")
UNDER = (_SETPRIV, "--pdeathsig", "KILL", "--") if _SETPRIV else ()
"""The kernel kills what it starts when the thread that started it ends: a test that is killed leaves nothing."""
PATIENCE_S = 20.0


class Processes:
    """By name; a name may be started again once its process has ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *words: str, env: dict[str, str] | None = None) -> None:
        """Run `words` as Python's arguments; what it says goes to `<name>.log`. From the main thread only (UNDER)."""
        assert not self.is_alive(name), name
        with self.log_file(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*UNDER, sys.executable, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | (env or {}),
                start_new_session=True,
            )

    def is_alive(self, name: str) -> bool:
        """Whether it runs."""
        return name in self._running and self._running[name].poll() is None

    def dead(self) -> list[str]:
        """Those that ended although nobody asked them to."""
        return [name for name, process in self._running.items() if process.poll() is not None]

    def pid(self, name: str) -> int:
        """Its process id."""
        return self._running[name].pid

    def kill(self, name: str) -> None:
        """SIGKILL to its whole session, and wait."""
        process = self._running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_S)

    def terminate(self, name: str) -> int:
        """SIGTERM, and wait; its exit code."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._running[name] = process
            self.kill(name)
            raise

    def log_file(self, name: str) -> Path:
        """Where its words go."""
        return self._folder / f"{name}.log"

    def log(self, name: str) -> str:
        """What it said in all its lives."""
        path = self.log_file(name)
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def close(self) -> None:
        """Kill what is left."""
        for name in list(self._running):
            self.kill(name)


def memory_kb(pid: int, name: str) -> int:
    """A field of /proc/PID/status in kB: VmRSS now, VmHWM the most ever."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise KeyError(name)
