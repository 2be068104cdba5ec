"""Hazard H1, a wrong value: a line that damages one piece in a hundred, and nothing damaged becomes a valid value.

Design, section 10: of the frames damaged on a line with 1 % corruption, at most one in a million is marked valid. An
8-bit checksum alone would let one in 256 through; behind it stands the line-quality gate (drivers/quality.py).
"""

import random

import pytest

from drivers.observation import AnyObservation, Enumeration, Numeric
from drivers.profile import Profile
from drivers.quality import Gate
from tests.contract.cases import STREAMS, Case, cases_of, is_stream, profiles, stream
from tests.contract.play import Said, wake_until, walk

PIECES, TORTURE_PIECES = 3_000, 100_000
"""Pieces of recordings that each profile hears; `make torture` plays thirty times as many."""
DAMAGED = 0.01
BETWEEN_S = 30.0
CHECKED = [
    each
    for each, profile in zip(STREAMS, (p for p in profiles() if is_stream(p)), strict=True)
    if profile.protocol.checksum
]
Value = tuple[str, str, str]


def value_of(seen: AnyObservation) -> Value | None:
    """What a value says: whose, which, how much; None for what is none, or is not to be believed."""
    if (
        not isinstance(seen, Numeric | Enumeration)
        or seen.validity != "valid"
        or seen.value is None
        or not seen.vendor
    ):
        return None
    return seen.mds, seen.vendor.code, str(seen.value)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """One to three places of it are others."""
    spoilt = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        spoilt[chance.randrange(len(spoilt))] ^= chance.choice((1 << chance.randrange(8), chance.randrange(1, 256)))
    return bytes(spoilt)


class Noisy:
    """One line, one gate; recordings are played one after the other at their own pace."""

    def __init__(self, profile: Profile, seed: int) -> None:
        self.profile, self.chance, self.gate = profile, random.Random(seed), Gate(profile)
        self.now, self.heard, self.spoilt = 0.0, 0, 0

    def play(self, case: Case) -> list[Value]:
        """What is believed of one recording."""
        driver, base, said = stream(self.profile, case.options), self.now, Said()
        said.take(driver.start(base), base)
        believed: list[Value] = []
        for step in case.received():
            now = self.now = base + step.t
            wake_until(driver, said, now)
            data, self.heard = step.data, self.heard + 1
            if data and self.chance.random() < DAMAGED:
                data, self.spoilt = damaged(data, self.chance), self.spoilt + 1
            judged = self.gate.check(driver.receive(data, now), now).observations
            believed += [value for seen in judged if (value := value_of(seen)) is not None]
        self.now += BETWEEN_S
        return believed


@pytest.mark.parametrize("profile", CHECKED)
def test_nothing_damaged_is_a_valid_value(profile: Profile, torture: bool, torture_seed: int) -> None:
    clean = [case for case in cases_of(profile) if not walk(stream(profile, case.options), case.received()).rejected]
    sent = {
        value_of(one) for case in clean for one in walk(stream(profile, case.options), case.received()).observations
    }
    line, wrong = Noisy(profile, torture_seed), []
    while clean and line.heard < (TORTURE_PIECES if torture else PIECES):
        wrong += [value for value in line.play(line.chance.choice(clean)) if value not in sent]
    assert wrong == []
    assert line.spoilt > line.heard * DAMAGED / 2 or not clean
