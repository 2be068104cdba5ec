"""Lost answers, full disks, kills and devices that repeat: nothing is lost, nothing is given out twice or changed."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Output
from drivers.observation import Result
from tests.drivers.hl7_lab.made import codes, make, msh, obx, refused, results_of, wire

VALUES = st.from_regex(r"\A[<>]?[0-9]{1,3}(\.[0-9]{1,2})?\Z") | st.sampled_from(["", "NA", "-----", "*7.2", "1,5"])
SEEDS = st.integers(0, 2**32 - 1)


class Analyzer:
    """A sender that waits for its answer and sends what was not accepted again, under a new number and time."""

    def __init__(self, seed: int, *, disk_fails: bool, mode: str) -> None:
        self._chance, self._disk_fails, self._tail = random.Random(seed), disk_fails, mode
        self._driver, self._now, self._number = make(), 0.0, 0
        self.committed: list[Result] = []
        self.restarts = 0

    def deliver(self, specimen: str, values: list[str], tries: int = 60) -> bool:
        """Try until the message is accepted."""
        return any(self._send(specimen, values) for _ in range(tries))

    def _send(self, specimen: str, values: list[str]) -> bool:
        self._number += 1
        head = msh(str(self._number), time=f"202601{self._number:08d}", tail=self._tail)
        rows = (obx("GLU", value, kind="ST", time=f"2026010510{n:02d}00") for n, value in enumerate(values))
        data, at, answers = wire(head, f"OBR|1||{specimen}", *rows), 0, []
        if self._chance.random() < 0.1:  # it is switched off in the middle
            data = data[: self._chance.randrange(len(data))]
        while at < len(data):
            size = self._chance.randint(1, 200)
            answers += self._hear(self._driver.receive(data[at : at + size], self._now))
            at += size
        self._now += 40.0
        self._driver.wake(self._now)
        return bool(answers) and all(answer[1] == "A" for answer in answers)

    def _hear(self, output: Output) -> list[str]:
        """What the device task does: commit, then speak; after a refusal, a fresh driver. An answer may be lost."""
        answers = codes(output)
        if output.refusal and self._disk_fails and self._chance.random() < 0.3:
            answers = refused(output)
            assert answers in (["AE"], ["CE"])
            self._driver = make()
            self.restarts += 1
        else:
            self.committed += results_of([output])
            if self._chance.random() < 0.05:  # killed between commit and answer
                self._driver, answers = make(), []
                self.restarts += 1
        return [answer for answer in answers if self._chance.random() > 0.2]


@pytest.mark.parametrize("mode", ["", "|||AL|NE"])
@pytest.mark.parametrize("disk_fails", [False, True])
@given(st.lists(st.lists(VALUES, min_size=1, max_size=4), min_size=1, max_size=3), SEEDS)
def test_nothing_is_lost_or_changed_or_told_twice(
    disk_fails: bool, mode: str, samples: list[list[str]], seed: int
) -> None:
    analyzer = Analyzer(seed, disk_fails=disk_fails, mode=mode)
    for number, values in enumerate(samples):
        assert analyzer.deliver(f"S{number}", values)
    counted = Counter(seen.identity for seen in analyzer.committed)
    assert len(counted) == sum(map(len, samples))
    assert max(counted.values()) <= 1 + analyzer.restarts
    told = {(seen.specimen, seen.completed[10:12], seen.text) for seen in analyzer.committed}
    assert told == {
        (f"S{n}", f"{at:02d}", text) for n, values in enumerate(samples) for at, text in enumerate(values)
    }
