"""The last results of one device, out of the box's own spool: what commissioning compares with the display.

The spool and not the feed: a result that was measured a minute ago is there, acknowledged or not, with or without a
running agent. Only the agent's present run counts: an earlier one may have read by another configuration.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from drivers.observation import AnyObservation, Result
from gateway.commissioning import COMPARISONS, Basis
from gateway.config import Config
from gateway.errors import JisrError
from gateway.language import N_
from gateway.spool.cipher import read_secret
from gateway.spool.frame import Frame, Position
from gateway.spool.identity import NAME
from gateway.spool.reader import SpoolReader
from gateway.spool.segment import named

FILES = 4
"""The newest files of the lane that are read, some thousand results; a spool of a week's outage is not read whole."""

_DECODER = msgspec.json.Decoder(list[AnyObservation])


class NothingMeasured(JisrError):
    """No spool yet: the agent has never run."""

    sentence = N_("{path}: there is no spool here yet. Start the agent (jisr run), then run a control on {device}.")


class SecretDoesNotFit(JisrError):
    """The spool cannot be opened with this secret."""

    sentence = N_("{path} does not open the spool {spool}. Start the agent again, then run a control on {device}.")


class ConfigurationNewer(JisrError):
    """What is in the spool may have been read otherwise than the file says now."""

    sentence = N_(
        "{file} was changed after the agent was started, or the clock was set since. Start the agent again, run a "
        "control on {device}, and compare then."
    )


class TooFew(JisrError):
    """Nothing to compare, or not enough."""

    sentence = N_(
        "{device}: results that can be compared, since the agent was started: {count} of the {wanted} that are "
        "needed. Run a control or a known sample on the analyzer, let it send its results, and start again (or wait "
        "for them: --wait 600). Nothing was stored."
    )


def read_latest(config: Config, config_file: Path, device: str, basis: Basis) -> list[Result]:
    """Newest first, those that can be compared. Raises the leaves above, `SecretUnusable`."""
    folder = Path(config.spool.path)
    if not (folder / NAME).exists():
        raise NothingMeasured(path=folder, device=device)
    if config_file.stat().st_mtime > (folder / NAME).stat().st_mtime:  # written anew at each start
        raise ConfigurationNewer(file=config_file, device=device)
    reader = SpoolReader(folder, read_secret(Path(config.spool.secret)))
    if reader.key != "fits" or reader.identity is None:
        raise SecretDoesNotFit(path=config.spool.secret, spool=folder, device=device)
    start = Position(reader.identity.epoch, 0)
    files = named(folder / "event", "seg")[-FILES:]
    if files:
        start = max(start, Position(files[0][0].epoch, files[0][0].first - 1))
    found = [seen for frame in reader.frames("event", start) if isinstance(frame, Frame) for seen in _results(frame)]
    mine = [seen for seen in found if seen.device == device and seen.driver == basis.driver]
    return [seen for seen in reversed(mine) if is_comparable(seen)]


def _results(frame: Frame) -> Iterator[Result]:
    return (seen for seen in _DECODER.decode(frame.payload) if isinstance(seen, Result))


def is_comparable(seen: Result) -> bool:
    """Whether it says something that a display shows as well: a word, or a number; 0 is 0 on every scale."""
    if seen.status == "cancelled" or not seen.test:
        return False
    return bool(seen.value) if seen.value is not None else bool(seen.answer)


def chosen(latest: list[Result], count: int = COMPARISONS) -> list[Result]:
    """The most telling ones, in the order in which they came: of the newest specimen before others, numbers before
    words, each of another unit and test as far as there are, never one result twice."""
    newest = latest[0].specimen if latest else ""
    by_test = {seen.test: seen for seen in reversed(latest)}  # the last one of each, in the order of a report
    ranked = sorted((*by_test.values(), *latest), key=lambda seen: (seen.value is None, seen.specimen != newest))
    found: list[Result] = []
    for is_new in (_has_other_unit, _has_other_test, _is_other_result):
        for seen in ranked:
            if len(found) < count and is_new(seen, found):
                found.append(seen)
    return sorted(found, key=latest.index, reverse=True)


def _has_other_unit(seen: Result, found: Iterable[Result]) -> bool:
    unit = seen.unit or seen.vendor_unit
    return bool(unit) and all(unit != (one.unit or one.vendor_unit) and seen.test != one.test for one in found)


def _has_other_test(seen: Result, found: Iterable[Result]) -> bool:
    return all(seen.test != one.test for one in found)


def _is_other_result(seen: Result, found: Iterable[Result]) -> bool:
    return all((seen.test, seen.value, seen.answer) != (one.test, one.value, one.answer) for one in found)
