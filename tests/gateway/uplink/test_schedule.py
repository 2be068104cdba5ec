"""Which frame goes next."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.observation import LANES, AnyObservation, Lane
from gateway.spool.spool import Frame, Position
from gateway.uplink.schedule import PROBE_BYTES, UNACKED_FRAMES, Schedule, Sent
from tests.gateway.uplink.fake_spool import FakeSpool, alert, numeric, wave


def drain(schedule: Schedule, now: float = 0.0, size: int = 100) -> list[tuple[str, Lane, int, int]]:
    gone: list[tuple[str, Lane, int, int]] = []
    while True:
        departure = schedule.next(now)
        if departure is None:
            if not schedule.is_skimming:
                return gone
            continue
        schedule.take(departure, size)
        gone.append((departure.era, departure.frame.lane, departure.frame.epoch, departure.frame.first))


def test_order_by_rank_and_oldest_first() -> None:
    spool = FakeSpool()
    spool.put(wave(), numeric("1"), alert("a"))
    spool.put(numeric("2"))
    spool.reopen()
    spool.put(numeric("3"))
    schedule = Schedule(spool)
    spool.put(wave(), numeric("4"), alert("b"))
    assert drain(schedule) == [
        ("live", "event", 2, 1),
        ("hist", "event", 1, 1),
        ("live", "numeric", 2, 2),
        ("hist", "numeric", 1, 1),
        ("hist", "numeric", 1, 2),
        ("hist", "numeric", 2, 1),
        ("live", "wave", 2, 1),
        ("hist", "wave", 1, 1),
    ]
    spool.put(numeric("5"))
    assert drain(schedule) == [("live", "numeric", 2, 3)]


def test_rewind_sends_only_what_is_not_acknowledged_and_all_of_it_as_history() -> None:
    spool = FakeSpool()
    schedule = Schedule(spool)
    for value in range(40):
        spool.put(numeric(str(value)))
    assert len(drain(schedule)) == 40
    spool.acknowledge("numeric", 1, 39, ((1, 2), (35, 36)))
    schedule.rewind("numeric")
    assert drain(schedule) == [("hist", "numeric", 1, n) for n in (1, 2, 35, 36, 40)]


def test_frames_of_before_a_rewind_are_no_longer_waited_for() -> None:
    spool = FakeSpool()
    spool.put(numeric("1"))
    schedule = Schedule(spool)
    departure = schedule.next(0.0)
    assert departure is not None
    sent = schedule.take(departure, 10)
    assert schedule.is_current(sent)
    schedule.rewind("numeric")
    assert not schedule.is_current(sent)


def test_a_paused_lane_lets_the_others_go() -> None:
    spool = FakeSpool()
    schedule = Schedule(spool)
    spool.put(numeric("1"), wave())
    schedule.pause("numeric", 5.0)
    assert schedule.wake_at(1.0) == 5.0
    assert drain(schedule, 1.0) == [("live", "wave", 1, 1)]
    assert drain(schedule, 5.0) == [("live", "numeric", 1, 1)]
    assert schedule.wake_at(5.0) is None


def test_without_the_platform_s_word_a_way_stops() -> None:
    spool = FakeSpool()
    schedule = Schedule(spool)
    for value in range(UNACKED_FRAMES + 10):
        spool.put(numeric(str(value)))
    assert len(drain(schedule)) == UNACKED_FRAMES
    spool.acknowledge("numeric", 1, 5)
    schedule.settle("numeric", is_word=True)
    assert len(drain(schedule)) == 5
    schedule.rewind("numeric")
    assert len(drain(schedule, size=3 << 20)) == 2


def test_time_out_opens_only_a_small_window_until_the_platform_speaks() -> None:
    spool = FakeSpool()
    schedule = Schedule(spool)
    for value in range(100):
        spool.put(numeric(str(value)))
    departure = schedule.next(0.0)
    assert departure is not None
    sent = schedule.take(departure, 10)
    assert schedule.overdue(100.0, 60.0) == []  # the broker has not confirmed it yet
    sent.confirmed_at = 40.0
    assert schedule.overdue(99.0, 60.0) == []
    assert schedule.overdue(100.0, 60.0) == ["numeric"]
    schedule.rewind("numeric")
    assert len(drain(schedule, size=PROBE_BYTES // 4)) == 4
    spool.acknowledge("numeric", 1, 4)
    schedule.settle("numeric", is_word=True)
    assert len(drain(schedule, size=PROBE_BYTES // 4)) == 96


def test_what_is_acknowledged_is_not_overdue() -> None:
    spool = FakeSpool()
    schedule = Schedule(spool)
    spool.put(numeric("1"))
    departure = schedule.next(0.0)
    assert departure is not None
    schedule.take(departure, 10).confirmed_at = 0.0
    spool.acknowledge("numeric", 1, 1)
    assert schedule.overdue(1000.0, 60.0) == []


def test_skipped_frames_stay_and_others_pass() -> None:
    spool = FakeSpool()
    spool.put(numeric("1"))
    spool.put(numeric("2"))
    schedule = Schedule(spool)
    departure = schedule.next(0.0)
    assert departure is not None
    schedule.skip(departure)
    assert drain(schedule) == [("hist", "numeric", 1, 2)]
    assert spool.waiting() == 2


def test_evicted_frames_are_passed_over() -> None:
    spool = FakeSpool()
    for value in range(5):
        spool.put(numeric(str(value)))
    schedule = Schedule(spool)
    head = spool.head("numeric")
    spool.frames["numeric"] = []
    spool.head = lambda lane: head  # type: ignore[method-assign]  # noqa: ARG005
    assert drain(schedule) == []


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(LANES[:3])),
        st.tuples(st.just("reopen"), st.none()),
        st.tuples(st.just("rewind"), st.sampled_from(LANES[:3])),
        st.tuples(st.just("send"), st.integers(1, 8)),
        st.tuples(st.just("acknowledge"), st.integers(0, 30)),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_in_any_order_of_things_every_frame_goes_and_history_never_overtakes(
    actions: list[tuple[str, object]],
) -> None:
    spool = FakeSpool()
    make: dict[str, AnyObservation] = {"event": alert("a"), "numeric": numeric("1"), "wave": wave()}
    schedule = Schedule(spool)
    sent: dict[tuple[Lane, int, int], Frame] = {}
    waiting: list[Sent] = []
    for action, what in actions:
        if action == "put":
            spool.put(make[str(what)])
        elif action == "reopen":
            spool.reopen()
        elif action == "rewind":
            schedule.rewind(what)  # type: ignore[arg-type]
        elif action == "acknowledge" and waiting:
            one = waiting.pop(int(str(what)) % len(waiting))
            spool.acknowledge(one.lane, one.epoch, one.last, ((1, one.first - 1),) if one.first > 1 else ())
            schedule.settle(one.lane, is_word=True)
        elif action == "send":
            last: dict[tuple[str, Lane], Position] = {}
            for _ in range(int(str(what))):
                departure = schedule.next(0.0)
                if departure is None:
                    break
                frame, way = departure.frame, (departure.era, departure.frame.lane)
                assert Position(frame.epoch, frame.first) > last.get(way, Position(0, 0))
                last[way] = Position(frame.epoch, frame.first)
                assert not spool.is_acknowledged(frame.lane, frame.epoch, frame.first, frame.first)
                waiting.append(schedule.take(departure, 10))
                sent[frame.lane, frame.epoch, frame.first] = frame
    drained = drain(schedule)
    for lane in LANES[:3]:
        for frame in spool.frames[lane]:
            is_done = spool.is_acknowledged(lane, frame.epoch, frame.first, frame.first)
            is_sent = (lane, frame.epoch, frame.first) in sent
            assert is_done or is_sent or any(row[1:] == (lane, frame.epoch, frame.first) for row in drained)
