"""Properties: no split, noise, flipped bit, lost answer or full disk changes, loses or doubles what is published."""

import random
from collections import Counter, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Output
from drivers.observation import Result
from tests.drivers.astm.wire import (
    ACK,
    END,
    ENQ,
    EOT,
    HEADER,
    NAK,
    ORDER,
    feed,
    frame,
    make,
    message,
    one_each,
    reasons,
    results_of,
    whole_of,
)

VALUES = st.from_regex(r"\A[<>]?[0-9]{1,3}(\.[0-9]{1,2})?\Z") | st.sampled_from(["", "NA", "-----", "*7.2", "1,5"])
SEEDS = st.integers(0, 2**32 - 1)


def records(values: list[str]) -> list[str]:
    rows = [
        f"R|{n}|^^^TEST{n}|{value}|mg/dl|4.0 to 6.0|N||F||OPERATOR|20260101075500|202601010758{n:02d}"
        for n, value in enumerate(values, 1)
    ]
    return [HEADER, "P|1||PID", ORDER, *(part for row in rows for part in (row, "C|1|I|DECEDED|G")), END]


def frames_of(values: list[str], size: int) -> list[bytes]:
    """A message in frames of `size` bytes of text, records split wherever that falls."""
    text = message(*records(values)).encode()
    cuts = range(0, len(text), size)
    return [frame(n, text[at : at + size], b"\x17" if at < cuts[-1] else b"\x03") for n, at in enumerate(cuts, 1)]


@given(st.lists(VALUES, max_size=6), st.integers(1, 300), st.lists(st.integers(0, 3000), max_size=20))
def test_any_split_of_frames_and_reads_gives_the_same(values: list[str], size: int, cuts: list[int]) -> None:
    stream = ENQ + b"".join(frames_of(values, size)) + EOT
    places = sorted({0, *(cut % len(stream) for cut in cuts), len(stream)})
    outputs = feed(make(), [stream[a:b] for a, b in zip(places, places[1:], strict=False)])
    expected = results_of(feed(make(), one_each(*records(values))))
    assert results_of(outputs) == expected
    assert [result.text for result in expected] == values
    assert reasons(outputs) == []


@given(st.binary(max_size=600), st.binary(max_size=600))
def test_any_bytes_are_survived_and_answered_with_acknowledgements_only(noise: bytes, more: bytes) -> None:
    driver = make()
    outputs = feed(driver, [noise, ENQ + noise, frame(1, noise), more, ENQ, frame(1, more), EOT])
    outputs += [driver.wake(100.0), driver.stop(200.0)]
    for output in outputs:
        assert set(output.send + output.refusal) <= set(ACK + NAK)
        assert not output.refusal or output.observations
        assert not any(seen.status == "final" for seen in results_of([output])) or output.refusal


@given(st.binary(max_size=300))
def test_noise_before_a_session_costs_at_most_one_second(noise: bytes) -> None:
    driver = make()
    driver.receive(noise, 0.0)
    asked = driver.receive(ENQ, 1.0)
    if asked.send != ACK:
        assert driver.wake(2.0).send[-1:] == ACK
    _enq, *rest = one_each(*records(["5.5"]))
    assert [result.text for result in results_of(feed(driver, rest, 3.0))] == ["5.5"]


@given(st.lists(VALUES, min_size=1, max_size=4), SEEDS, st.integers(1, 3))
def test_flipped_bits_never_change_a_value(values: list[str], seed: int, flips: int) -> None:
    """A sum of eight bits sees any one flipped bit; two that cancel out are for the line-quality gate."""
    chance = random.Random(seed)
    sent = [content(seen) for seen in results_of(feed(make(), one_each(*records(values))))]
    pieces = [bytearray(piece) for piece in one_each(*records(values))]
    for piece in chance.sample(pieces, min(flips, len(pieces))):
        piece[chance.randrange(len(piece))] ^= 1 << chance.randrange(8)
    for seen in whole_of(feed(make(), map(bytes, pieces))):
        assert content(seen) in sent


def content(result: Result) -> tuple[object, ...]:
    return (
        result.specimen,
        result.test,
        result.value,
        result.text,
        result.vendor_unit,
        result.status,
        result.identity,
    )


class Analyzer:
    """A sender by the standard: six tries a frame, 15 s for an answer, then EOT and the whole message again."""

    def __init__(self, frames: list[bytes], seed: int, share: float, *, disk_fails: bool, flips: bool) -> None:
        self._frames, self._chance, self._share = frames, random.Random(seed), share
        self._disk_fails, self._flips = disk_fails, flips
        self._driver, self._now = make(), 0.0
        self._wake_at: float | None = None
        self._inbox: deque[int] = deque()
        self.committed: list[Result] = []
        self.restarts = 0

    def deliver(self, sessions: int = 60) -> bool:
        """Try until the message is through."""
        return any(self._session() for _ in range(sessions))

    def _session(self) -> bool:
        self._inbox.clear()
        for _try in range(6):
            if self._ask(ENQ) == ACK:
                break
            self._wait(10.0)
        else:
            return False
        for sent in self._frames:
            if not self._deliver_frame(sent):
                self._send(EOT)
                self._wait(11.0)
                return False
        self._send(EOT)
        return True

    def _deliver_frame(self, sent: bytes) -> bool:
        for _try in range(6):
            answer = self._ask(sent)
            if answer == ACK:
                return True
            if answer == b"":
                return False
        return False

    def _ask(self, data: bytes) -> bytes:
        self._send(data)
        if not self._inbox:
            self._wait(15.0)
        return bytes((self._inbox.popleft(),)) if self._inbox else b""

    def _wait(self, seconds: float) -> None:
        end = self._now + seconds
        while self._wake_at is not None and self._wake_at <= end:
            self._now = self._wake_at
            self._hear(self._driver.wake(self._now))
        self._now = end

    def _send(self, data: bytes) -> None:
        damaged = bytearray(data)
        if self._flips and self._chance.random() < self._share:
            damaged[self._chance.randrange(len(damaged))] ^= 1 << self._chance.randrange(8)
        at = 0
        while at < len(damaged):
            size = self._chance.randint(1, 80)
            self._hear(self._driver.receive(bytes(damaged[at : at + size]), self._now))
            at += size

    def _hear(self, output: Output) -> None:
        """What the device task does: commit, then speak; after a refusal, a fresh driver."""
        self._wake_at = output.wake_at
        answer = output.send
        if output.observations and self._disk_fails and self._chance.random() < 0.3:
            answer = output.refusal
            self._driver = make()
            self._wake_at = None
            self.restarts += 1
        else:
            self.committed += whole_of([output])
        for byte in answer:
            if self._chance.random() > self._share:
                self._inbox.append(byte)


@pytest.mark.parametrize("flips", [False, True])
@given(st.lists(VALUES, min_size=1, max_size=5), st.sampled_from([35, 120, 10_000]), SEEDS)
def test_faults_lose_and_double_nothing(flips: bool, values: list[str], size: int, seed: int) -> None:
    analyzer = Analyzer(frames_of(values, size), seed, share=0.08, disk_fails=False, flips=flips)
    assert analyzer.deliver()
    assert [seen.text for seen in analyzer.committed] == values


@given(st.lists(VALUES, min_size=1, max_size=5), st.sampled_from([120, 10_000]), SEEDS)
def test_a_disk_that_refuses_loses_nothing(values: list[str], size: int, seed: int) -> None:
    """A fresh driver has forgotten what was committed before it; the identity tells the platform."""
    analyzer = Analyzer(frames_of(values, size), seed, share=0.05, disk_fails=True, flips=False)
    assert analyzer.deliver()
    counted = Counter(seen.identity for seen in analyzer.committed)
    assert len(counted) == len(values)
    assert max(counted.values()) <= 1 + analyzer.restarts
