"""Where a live view is drawn: on a terminal if the extra `screen` is installed, or nowhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gateway import language
from gateway.config import Config
from gateway.errors import JisrError
from gateway.language import N_
from provisioning.attach import Seen


class NoPicture(JisrError):
    """`rich` is not installed."""

    exit_code = 2
    sentence = N_('The picture needs the extra "screen" (pip install "jisr[screen]"). Without it: --json.')


class Stage:
    """Takes what happens and shows nothing: a run without a terminal."""

    def take(self, seen: Seen) -> None:
        """One line of the feed."""

    def note(self, text: str) -> None:
        """Something a person should know."""


class _Drawn(Stage):
    def __init__(self, board: Any, live: Any) -> None:
        self._board, self._live = board, live

    def take(self, seen: Seen) -> None:
        self._board.take(seen)
        self._live.update(self._board.render(self._live.console.height))

    def note(self, text: str) -> None:
        self._board.notes.append(text)


@contextmanager
def drawn(config: Config) -> Iterator[Stage]:
    """A picture of this configuration's devices, kept up to date. Raises `NoPicture`."""
    try:
        from rich.live import Live  # noqa: PLC0415 - a box without a screen does not carry it

        from provisioning.picture import Board, labels_of  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise NoPicture from error
    with Live(refresh_per_second=4) as live:
        yield _Drawn(Board(labels_of(config, language.current())), live)
