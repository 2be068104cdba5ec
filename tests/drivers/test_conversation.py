"""What drivers have in common: link, silence, counting, questions, goodbye. A frame here is one byte."""

import pytest

from drivers import catalog
from drivers.asking import Manners, Question
from drivers.contract import NOISE, Fault, Output
from drivers.conversation import Asking, Conversation, Listening
from drivers.observation import Device
from drivers.profile import Profile

PROFILE = catalog.profile("hamilton_g5", "g5")
STALE_S = PROFILE.protocol.stale_after_s
HELLO, VALUES = Question("hello", b"H"), Question("values", b"V", 5.0)


class _Letters(Conversation):
    """`a` is a frame, `!` a damaged one, all else noise."""

    forgotten = 0

    def _forget(self) -> None:
        self.forgotten += 1

    def _receive(self, data: bytes) -> None:
        for letter in data.decode():
            if letter == "a":
                self._verified()
            else:
                self._fault(Fault("checksum", rejected=True) if letter == "!" else Fault(NOISE))


class _Listener(_Letters, Listening):
    pass


class _Asker(_Letters, Asking):
    def __init__(self, profile: Profile) -> None:
        super().__init__(profile, Manners(patience_s=2.0), [HELLO], [VALUES])

    def _receive(self, data: bytes) -> None:
        if data == b"!":
            self._refuse(Fault("checksum", rejected=True))
        else:
            super()._receive(data)
            self._asker.answered(self._now)

    def _leave(self) -> None:
        self._asker.say(b"BYE", self._now)


def links(output: Output) -> list[tuple[str, str]]:
    return [(seen.connection, seen.reason) for seen in output.observations if isinstance(seen, Device)]


@pytest.mark.parametrize("kind", [_Letters, _Listener, _Asker])
def test_link_silence_and_counting(kind: type[_Letters]) -> None:
    made = kind(PROFILE)
    made.start(100.0)
    first = made.receive(b"aa!", 101.0)
    assert (links(first), first.frames) == ([("connected", "")], 2)
    assert [fault.reason for fault in first.faults] == ["checksum"]
    again = made.receive(b"a", 102.0)
    assert (again.observations, again.faults, again.frames) == ((), (), 1)
    assert links(made.wake(101.9 + STALE_S)) == []
    assert links(made.wake(102.0 + STALE_S)) == [("stale", "silence")]
    assert links(made.wake(200.0 + STALE_S)) == []
    assert links(made.receive(b"a", 300.0)) == [("connected", "")]
    left = made.stop(301.0)
    assert (links(left), left.wake_at) == ([("disconnected", "stopped")], None)
    assert links(made.wake(900.0)) == []
    assert links(made.start(1000.0)) == []
    assert links(made.receive(b"a", 1000.0)) == [("connected", "")]


def test_it_wants_to_be_woken_when_silence_becomes_stale_and_not_after() -> None:
    made = _Listener(PROFILE)
    assert made.start(100.0).wake_at == 100.0 + STALE_S
    assert made.receive(b"a", 110.0).wake_at == 110.0 + STALE_S
    assert made.wake(110.0 + STALE_S).wake_at is None


def test_a_profile_without_a_limit_is_never_stale() -> None:
    made = _Listener(PROFILE)
    made._stale_after_s = 0.0
    assert made.start(100.0).wake_at is None
    assert links(made.wake(1e6)) == []


@pytest.mark.parametrize(("kind", "forgotten"), [(_Listener, 2), (_Asker, 1)])
def test_what_was_half_read_is_forgotten(kind: type[_Letters], forgotten: int) -> None:
    """At the start; and in silence by who only listens: an answer may still come to who asks."""
    made = kind(PROFILE)
    made.start(0.0)
    made.wake(STALE_S)
    assert made.forgotten == forgotten


def test_a_stretch_of_noise_is_one_fault() -> None:
    made = _Listener(PROFILE)
    made.start(0.0)
    assert [len(made.receive(data, 1.0).faults) for data in (b"xx", b"x", b"a", b"x")] == [1, 0, 0, 1]


@pytest.mark.parametrize(("kind", "frames"), [(_Listener, 0), (_Asker, 1)])
def test_after_stop_only_a_frame_is_counted_where_the_box_asks(kind: type[_Letters], frames: int) -> None:
    made = kind(PROFILE)
    made.start(0.0)
    made.stop(1.0)
    after = made.receive(b"a", 1.1)
    assert (after.observations, after.send, after.frames) == ((), b"", frames)


def test_who_listens_sends_nothing() -> None:
    made = _Listener(PROFILE)
    said = [made.start(0.0), made.receive(b"a!x", 1.0), made.wake(100.0), made.stop(101.0)]
    assert {output.send for output in said} == {b""}


def test_set_up_plan_and_goodbye() -> None:
    made = _Asker(PROFILE)
    assert made.start(0.0).send == b"H"
    answered = made.receive(b"a", 0.1)
    assert (answered.send, answered.wake_at) == (b"V", 2.1)
    assert (made.receive(b"a", 0.2).send, made.wake(5.0).send, made.wake(5.1).send) == (b"", b"", b"V")
    assert made.stop(6.0).send == b"BYE"
    assert made.wake(60.0).send == b""
    assert made.start(10.0).send == b"H"


def test_a_refused_answer_is_asked_for_again_when_the_patience_is_over() -> None:
    made = _Asker(PROFILE)
    made.start(0.0)
    made._refuse(Fault(NOISE))
    refused = made.receive(b"!", 0.1)
    assert (refused.send, [fault.reason for fault in refused.faults]) == (b"", [NOISE, "checksum"])
    again = made.wake(2.0)
    assert (again.send, again.faults) == (b"H", (Fault("timeout", "hello"),))
