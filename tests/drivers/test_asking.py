"""One question at a time, patience, rests that grow, and never more in a minute than the manners allow."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.asking import MINUTE_S, RESTS_S, Asker, Manners, Question

HELLO, WHO = Question("hello", b"H"), Question("who", b"W")
VALUES, ALARMS = Question("values", b"V", 1.0), Question("alarms", b"A", 5.0)
MANNERS = Manners(patience_s=2.0, spacing_s=0.1, repeats=1, per_minute=100)


def started(manners: Manners = MANNERS) -> Asker:
    asker = Asker(manners)
    asker.begin([HELLO, WHO], [VALUES, ALARMS], 0.0)
    return asker


def turn(asker: Asker, now: float) -> bytes:
    asker.tick(now)
    return asker.take()[0]


def run(asker: Asker, until: float, *, answers: bool, now: float = 0.0) -> list[tuple[float, bytes]]:
    """Woken when it wants to be; every question is answered after 0.2 s, or none is."""
    sent = []
    while now <= until:
        if out := turn(asker, now):
            sent.append((now, out))
            if answers:
                asker.answered(now + 0.2)
        wake_at = asker.wake_at()
        assert wake_at is not None
        now = max(wake_at, now + 0.001)
    return sent


def test_the_set_up_comes_first_then_the_plan_at_its_periods() -> None:
    sent = run(started(), 11.0, answers=True)
    assert [frame for _t, frame in sent[:4]] == [b"H", b"W", b"V", b"A"]
    assert len([1 for _t, frame in sent if frame == b"V"]) == 11
    assert len([1 for _t, frame in sent if frame == b"A"]) == 3


def test_one_question_waits_for_its_answer() -> None:
    asker = started()
    assert turn(asker, 0.0) == b"H"
    assert asker.asked == "hello"
    assert turn(asker, 1.9) == b""
    assert asker.answered(1.9) == "hello"
    assert turn(asker, 1.95) == b""
    assert turn(asker, 2.0) == b"W"


def test_silence_is_a_time_out_one_repeat_and_a_rest_that_grows() -> None:
    sent = run(started(), 400.0, answers=False)
    times = [round(t, 1) for t, _frame in sent]
    assert {frame for _t, frame in sent} == {b"H"}
    rests = [later - earlier - MANNERS.patience_s for earlier, later in zip(times[1::2], times[2::2], strict=False)]
    assert [round(rest) for rest in rests[:5]] == [*RESTS_S, RESTS_S[-1]]


def test_a_time_out_is_told_once() -> None:
    asker = started()
    turn(asker, 0.0)
    asker.tick(2.0)
    asker.tick(2.0)
    assert [(fault.reason, fault.detail) for fault in asker.take()[1]] == [("timeout", "hello")]


def test_a_late_answer_finds_no_question() -> None:
    asker = Asker(Manners(patience_s=2.0, quiet_s=2.0, per_minute=100))
    asker.begin([HELLO, WHO], [], 0.0)
    turn(asker, 0.0)
    assert turn(asker, 2.0) == b""
    assert (asker.asked, asker.wake_at()) == ("", 4.0)
    assert turn(asker, 4.0) == b"H"
    asker.answered(4.1)
    assert turn(asker, 4.1) == b"W"


def test_a_rest_begins_everything_again_and_says_so() -> None:
    asker = started()
    turn(asker, 0.0)
    asker.answered(0.1)
    turn(asker, 0.2)
    turn(asker, 2.2)
    before = asker.has_restarted
    assert turn(asker, 4.2) == b""
    assert (before, asker.has_restarted) == (False, True)
    assert turn(asker, 4.2 + RESTS_S[0]) == b"H"


def test_an_answer_ends_the_growing() -> None:
    asker = started()
    run(asker, 60.0, answers=False)
    asker.begin([], [VALUES], 100.0)
    assert turn(asker, 100.0) == b"V"
    asker.answered(100.1)
    turn(asker, 101.0), turn(asker, 103.0)
    turn(asker, 105.0)
    assert turn(asker, 105.0 + RESTS_S[0]) == b"V"


def test_part_of_an_answer_gives_the_rest_as_long_again() -> None:
    asker = started()
    turn(asker, 0.0)
    asker.extend(1.5)
    assert turn(asker, 3.4) == b""
    assert turn(asker, 3.5) == b"H"


def test_chatter_does_not_hold_the_dialogue_up() -> None:
    asker = started()
    turn(asker, 0.0)
    sent = []
    for tenth in range(10, 400, 10):
        asker.extend(tenth / 10)
        sent.append(turn(asker, tenth / 10))
    assert sent.count(b"H") >= 2


def test_an_answer_may_ask_for_more_before_the_plan_goes_on() -> None:
    asker = Asker(MANNERS)
    asker.begin([HELLO], [VALUES], 0.0)
    turn(asker, 0.0)
    asker.answered(0.1)
    asker.add(WHO)
    assert turn(asker, 0.2) == b"W"


def test_the_plan_changes_and_a_question_leaves_it() -> None:
    asker = Asker(MANNERS)
    asker.begin([], [VALUES], 0.0)
    turn(asker, 0.0)
    asker.answered(0.0)
    asker.drop("values")
    assert asker.wake_at() is None
    asker.plan(ALARMS, 0.5)
    assert turn(asker, 0.5) == b"A"


def test_nothing_is_asked_after_the_end() -> None:
    asker = started()
    turn(asker, 0.0)
    asker.halt()
    assert (turn(asker, 9.0), asker.wake_at(), asker.asked) == (b"", None, "")


@given(
    st.lists(st.tuples(st.floats(0.0, 5.0), st.sampled_from(["tick", "answered", "restart", "refused", "extend"])))
)
def test_never_more_in_a_minute_than_the_manners_allow(steps: list[tuple[float, str]]) -> None:
    asker = started(Manners(patience_s=0.5, repeats=3, per_minute=20))
    now, sent = 0.0, []
    for wait, what in steps * 8:
        now += wait / 10
        if what != "tick":
            getattr(asker, what)(now)
        sent += [now] * len(turn(asker, now))
    assert all(later - earlier > MINUTE_S - 1e-6 for earlier, later in zip(sent, sent[20:], strict=False))
