"""A start after a power cut: the file system is mounted, the spool opened, held to its promises, and used again."""

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from drivers.observation import LANES, Alert, Gap, from_json, lane_of, to_json
from tests.powercut import mounts
from tests.powercut.content import is_whole, make, split
from tests.powercut.ledger import Key, Ledger, evictions
from tests.powercut.workload import LIFE_NUMBERS, everything, open_spool, word

if TYPE_CHECKING:
    from gateway.spool.spool import Recovery, Spool

BALLAST = "ballast"
"""A file that fills the disk beside the spool; whoever finds the box after the cut removes it."""
AFTERLIFE = 900 * LIFE_NUMBERS
"""Numbers of what is put after the cut."""
SPOOL_REASONS = {"torn_tail", "damaged", "disk_refused", "evicted"}


class Verdict(Struct):
    """What was wrong after one cut; the lists are empty where nothing was."""

    number: int = 0
    at: int = 0
    mode: str = ""
    pending: int = 0
    is_torn: bool = False
    """The start found a torn tail, and cut it."""
    owed: int = 0
    """Observations that had to be there."""
    lost: list[str] = []
    garbage: list[str] = []
    refused: list[str] = []
    """The file system was not mounted or is not sound, or the spool did not start."""
    renumbered: list[str] = []
    """One number for two observations, or an epoch given twice."""
    broken: list[str] = []
    """Any other promise."""
    image: str = ""
    """Where it is kept, if anything was wrong."""

    def is_good(self) -> bool:
        """Nothing was wrong."""
        return not (self.lost or self.garbage or self.refused or self.renumbered or self.broken)


class Trial:
    """One cut image and what had been promised."""

    def __init__(self, image: Path, mount: Path, ledger: Ledger) -> None:
        self._image, self._mount, self._ledger = image, mount, ledger
        self._folder = mount / "spool"
        self.verdict = Verdict(owed=len(ledger.owed()))

    async def run(self) -> Verdict:
        """Mount, start, check, go on, start once more, check again, look at the file system."""
        verdict = self.verdict
        try:
            mounts.mount_ext4(self._image, self._mount)
        except OSError as error:
            verdict.refused.append(str(error))
            return verdict
        try:
            before = await self._first_start()
            await self._second_start(before)
        except Exception as error:  # noqa: BLE001 - whatever keeps a start from going on is what is looked for
            verdict.refused.append(f"{type(error).__name__}: {error}")
        finally:
            mounts.unmount(self._mount, patience_s=2.0)
        if complaint := mounts.complaint(self._image):
            verdict.refused.append(complaint)
        return verdict

    async def _first_start(self) -> dict[Key, bytes]:
        ledger = self._ledger
        spool = open_spool(self._folder)
        if spool.epoch <= ledger.epoch:
            self.verdict.renumbered.append(f"epoch {spool.epoch} again")
        if ledger.spool and spool.id != ledger.spool:
            self.verdict.broken.append(f"spool {ledger.spool} is {spool.id} now")
        self.verdict.is_torn = is_torn(spool.recovery)
        self._check_cursor(spool)
        found = self._read(spool)
        self._check(found, spool.recovery.gaps)
        await self._use(spool)
        kept = self._read(spool)
        self._compare(found, kept, "while it was used")
        await spool.close()
        return kept

    async def _second_start(self, before: dict[Key, bytes]) -> None:
        spool = open_spool(self._folder)
        if spool.recovery.gaps:
            self.verdict.broken.append(f"gaps after an orderly end: {spool.recovery.gaps}")
        self._compare(before, self._read(spool), "over an orderly end")
        await spool.close()

    async def _use(self, spool: "Spool") -> None:
        """A short life: every lane, more than a segment of it, nothing acknowledged."""
        committed: dict[Key, bytes] = {}
        spool.listen(
            lambda lane, first, observations: committed.update(
                {(lane, spool.epoch, seq): to_json(each) for seq, each in enumerate(observations, first)}
            )
        )
        (self._mount / BALLAST).unlink(missing_ok=True)
        await spool.put(spool.recovery.gaps)
        for number in range(AFTERLIFE, AFTERLIFE + 45, 9):
            await spool.put([make(each) for each in range(number, number + 9)])
            await spool.commit_now()
        found = self._read(spool)
        self.verdict.lost += [f"{key} put after the start" for key in committed if key not in found]
        self.verdict.garbage += [
            f"{key} put after the start" for key in committed if found.get(key) != committed[key]
        ]
        self.verdict.renumbered += [f"{key}" for key in committed if self._ledger.known(key) is not None]

    def _read(self, spool: "Spool") -> dict[Key, bytes]:
        """All that the spool gives, each frame in its order and whole."""
        found: dict[Key, bytes] = {}
        for lane in LANES:
            last = (0, 0)
            for frame in everything(spool, lane):
                texts = split(frame.payload)
                if frame.lane != lane or (frame.epoch, frame.first) <= last or len(texts) != frame.count:
                    self.verdict.garbage.append(f"frame {lane} {frame.epoch} {frame.first}+{frame.count}")
                last = (frame.epoch, frame.last)
                found |= {(lane, frame.epoch, seq): text for seq, text in enumerate(texts, frame.first)}
        return found

    def _check(self, found: dict[Key, bytes], gaps: tuple[Gap, ...]) -> None:
        ledger, verdict = self._ledger, self.verdict
        given_up = [*ledger.evicted(), *evictions(text.decode("utf-8", "replace") for text in found.values())]
        owed = [key for key in ledger.owed() if not is_in(key, given_up)]
        verdict.lost += [str(key) for key in owed if key not in found]
        verdict.renumbered += [f"{key} twice before the cut" for key in ledger.twice]
        numbers = self._check_contents(found)
        told = set(ledger.kept.values()) | set(numbers)
        verdict.lost += [f"the put of {each} returned" for each in ledger.returned if each not in told]
        # A gap says that something will never come: never what is there, nor what was promised and not given up,
        # be it with the platform or not.
        held = [*found, *(key for key in ledger.kept if not is_in(key, given_up))]
        verdict.broken += [f"{key} is in a gap" for key in dict.fromkeys(held) if is_in(key, gaps)]

    def _check_contents(self, found: dict[Key, bytes]) -> dict[int, Key]:
        """Each is what was put, byte for byte, and once; returns where each number stands."""
        ledger, verdict = self._ledger, self.verdict
        numbers: dict[int, Key] = {}
        for key, text in found.items():
            what, known = word(text), ledger.known(key)
            if known is not None and known != what:
                verdict.renumbered.append(f"{key} was {known} and is {what}")
            if isinstance(what, str):
                verdict.garbage += [] if is_of_the_spool(text) else [f"{key}: {text[:200]!r}"]
                continue
            if not is_whole(text) or not ledger.was_put(what) or lane_of(make(what)) != key[0]:
                verdict.garbage.append(f"{key}: {text[:200]!r}")
            if what in numbers:
                verdict.broken.append(f"{what} stands at {numbers[what]} and at {key}")
            numbers[what] = key
        return numbers

    def _check_cursor(self, spool: "Spool") -> None:
        for lane, saved in self._ledger.saved.items():
            point = spool.released(lane)
            if (point.epoch, point.seq) < saved:
                self.verdict.broken.append(f"{lane} was released up to {saved}, flushed, and is at {point}")

    def _compare(self, before: dict[Key, bytes], after: dict[Key, bytes], when: str) -> None:
        self.verdict.lost += [f"{key} {when}" for key in before if key not in after]
        self.verdict.renumbered += [f"{key} {when}" for key, text in before.items() if after.get(key, text) != text]


def is_torn(recovery: "Recovery") -> bool:
    """The start found bytes behind the last good frame of a lane."""
    return recovery.tail_bytes_cut > 0 or any(gap.reason == "torn_tail" for gap in recovery.gaps)


def is_of_the_spool(text: bytes) -> bool:
    """A record that the spool itself makes: a gap, or an alert about its own state."""
    try:
        observation = from_json(text)
    except ValueError:
        return False
    if isinstance(observation, Gap):
        return observation.reason in SPOOL_REASONS
    vendor = observation.vendor.code if observation.vendor else ""
    return isinstance(observation, Alert) and vendor.startswith("spool_")


def is_in(key: Key, gaps: "tuple[Gap, ...] | list[Gap]") -> bool:
    """One of the gap records tells of it."""
    lane, epoch, seq = key
    return any((gap.gap_lane, gap.gap_epoch) == (lane, epoch) and gap.first <= seq <= gap.last for gap in gaps)
