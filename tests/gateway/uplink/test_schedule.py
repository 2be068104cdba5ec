"""What goes next."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from drivers.observation import LANES, AnyObservation, Lane
from gateway.spool.spool import Position
from gateway.uplink.schedule import LATE_S, PROBE_BYTES, UNACKED_FRAMES, Departure, Pace, Schedule, Sent
from tests.gateway.uplink.fake_spool import FakeSpool, alert, numeric, wave

Row = tuple[str, Lane, int, int, int]
"""Era, lane, epoch, first, last."""


def departures(schedule: Schedule, now: float = 0.0) -> Iterator[Departure]:
    while True:
        departure = schedule.next(now)
        if departure is not None:
            yield departure
        elif not schedule.is_skimming:
            return


def row(departure: Departure) -> Row:
    return departure.era, departure.lane, departure.epoch, departure.first, departure.last


def drain(schedule: Schedule, now: float = 0.0, size: int = 100) -> list[Row]:
    gone: list[Row] = []
    for departure in departures(schedule, now):
        schedule.take(departure, size)
        gone.append(row(departure))
    return gone


def test_order_by_rank_and_oldest_first() -> None:
    spool = FakeSpool()
    spool.put(wave(), numeric("1"), alert("a"))
    spool.put(numeric("2"))
    spool.reopen()
    spool.put(numeric("3"))
    schedule = Schedule(spool)
    spool.put(wave(), numeric("4"), alert("b"))
    spool.put_raw("log", 1, b"[{}]")
    assert drain(schedule) == [
        ("live", "event", 2, 1, 1),
        ("hist", "event", 1, 1, 1),
        ("live", "numeric", 2, 2, 2),
        ("hist", "numeric", 1, 1, 2),  # joined, but not over an epoch's border
        ("live", "wave", 2, 1, 1),
        ("hist", "numeric", 2, 1, 1),
        ("hist", "wave", 1, 1, 1),
        ("live", "log", 2, 1, 1),
    ]
    spool.put(numeric("5"))
    assert drain(schedule) == [("live", "numeric", 2, 3, 3)]


def test_history_is_joined_up_to_a_minute_or_64_kib_and_live_is_not() -> None:
    spool = FakeSpool()
    for value in range(150):
        spool.put(numeric(str(value)), wave())
    schedule = Schedule(spool)
    assert [row[3:] for row in drain(schedule) if row[1] == "numeric"] == [(1, 60), (61, 120), (121, 150)]
    schedule.rewind("wave")
    assert [row[3:] for row in drain(schedule)][:2] == [(1, 12), (13, 24)]  # a wave commit is five seconds
    spool.frames["numeric"].clear()
    for _ in range(10):
        spool.put_raw("numeric", 1, b"[" + b"1" * 20_000 + b"]")
    schedule.rewind("numeric")
    assert [row[4] - row[3] + 1 for row in drain(schedule)] == [3, 3, 3, 1]
    spool.put(numeric("1"))
    spool.put(numeric("2"))
    assert [row[0] for row in drain(schedule)] == ["live", "live"]


def test_on_a_slow_link_live_is_gathered_for_ten_seconds() -> None:
    spool = FakeSpool()
    schedule = Schedule(spool)
    schedule.pace = Pace(join_s=10.0)
    for second in range(10):
        spool.put(numeric(str(second)))
        assert drain(schedule, float(second)) == []
    assert schedule.wake_at(9.5) == 10.0
    spool.put(alert("now"))
    assert drain(schedule, 9.5) == [("live", "event", 1, 1, 1)]
    assert drain(schedule, 10.0) == [("live", "numeric", 1, 1, 10)]
    spool.put(numeric("10"))
    assert drain(schedule, 11.0) == []
    assert schedule.wake_at(11.0) == 21.0
    schedule.pace = Pace(join_s=10.0, live_bytes=600)
    for value in range(5):
        spool.put(numeric(str(value)))
    assert drain(schedule, 12.0) != []  # as much as a frame may have: no reason to wait


def test_what_comes_too_late_for_live_becomes_history() -> None:
    spool = FakeSpool()
    schedule = Schedule(spool)
    schedule.pace = Pace(bulk_bytes=2000)
    for second in range(31):
        spool.put(numeric(str(second)), wave())
        schedule.observe(float(second))  # the link takes nothing
    spool.put(numeric("31"), wave())
    assert drain(schedule, 31.0)[:2] == [("live", "numeric", 1, 22, 22), ("live", "numeric", 1, 23, 23)]
    order = drain(schedule, 31.0)
    schedule.rewind("numeric")
    schedule.rewind("wave")
    assert order == []
    last: dict[tuple[str, Lane], int] = {}
    for departure in departures(schedule, 31.0):
        assert departure.first > last.get((departure.era, departure.lane), 0)
        last[departure.era, departure.lane] = departure.last
        schedule.take(departure, 100)
    assert last == {("hist", "numeric"): 32, ("hist", "wave"): 32}


def test_frames_are_cut_where_the_link_or_the_broker_takes_only_little() -> None:
    spool = FakeSpool()
    spool.put(*[numeric(str(value)) for value in range(60)])
    schedule = Schedule(spool)
    schedule.pace = Pace(bulk_bytes=2000)
    gone: list[int] = []
    for departure in departures(schedule):
        assert departure.content_bytes <= 2000
        gone += range(departure.first, departure.last + 1)
        schedule.take(departure, departure.content_bytes)
    assert gone == list(range(1, 61))
    schedule.rewind("numeric")
    whole = schedule.next(0.0)
    assert whole is not None
    half = schedule.shorten(whole, 4000)  # came out twice as large as hoped
    assert half is not None
    assert half.first == whole.first
    assert half.content_bytes <= whole.content_bytes // 2 + 1
    schedule.take(half, 2000)
    following = schedule.next(0.0)
    assert following is not None
    assert following.first == half.last + 1


def test_a_single_observation_is_not_cut() -> None:
    spool = FakeSpool()
    spool.put(numeric("1"))
    schedule = Schedule(spool)
    departure = schedule.next(0.0)
    assert departure is not None
    assert schedule.shorten(departure, 4000) is None


def test_history_and_curves_share_seventy_to_thirty_by_bytes() -> None:
    spool = FakeSpool()
    for value in range(5000):
        spool.put(numeric(str(value)))
    schedule = Schedule(spool)
    for _ in range(2000):
        spool.put(wave())
    sizes = {"numeric": 900, "wave": 2500}
    gone: list[tuple[Lane, int]] = []
    for departure in departures(schedule):
        schedule.take(departure, sizes[departure.lane])
        spool.acknowledge(departure.lane, 1, departure.last)
        schedule.settle(departure.lane, is_word=True)
        if not departure.is_shared:
            break
        gone.append((departure.lane, sizes[departure.lane]))
    assert len(gone) > 80
    for start in range(0, len(gone) - 20, 7):
        for stop in range(start + 20, len(gone), 11):
            total = sum(size for _lane, size in gone[start:stop])
            past = sum(size for lane, size in gone[start:stop] if lane == "numeric")
            assert abs(past - 0.7 * total) <= 0.7 * 2500 + 0.3 * 900


def test_rewind_sends_only_what_is_not_acknowledged_and_all_of_it_as_history() -> None:
    spool = FakeSpool()
    schedule = Schedule(spool)
    for value in range(40):
        spool.put(numeric(str(value)))
    assert len(drain(schedule)) == 40
    spool.acknowledge("numeric", 1, 39, ((1, 2), (35, 36)))
    schedule.rewind("numeric")
    assert drain(schedule) == [("hist", "numeric", 1, *ends) for ends in ((1, 2), (35, 36), (40, 40))]


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
    assert drain(schedule, 1.0) == [("live", "wave", 1, 1, 1)]
    assert drain(schedule, 5.0) == [("live", "numeric", 1, 1, 1)]
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
    for value in range(600):
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
    spool.acknowledge("numeric", 1, 240)
    schedule.settle("numeric", is_word=True)
    assert len(drain(schedule, size=PROBE_BYTES // 4)) == 6


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
    schedule = Schedule(spool)
    spool.put(numeric("1"))
    spool.put(numeric("2"))
    departure = schedule.next(0.0)
    assert departure is not None
    schedule.skip(departure)
    assert drain(schedule) == [("live", "numeric", 1, 2, 2)]
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


class Law:
    """What the priority law says, from the test's own books: what was committed when, what departed."""

    def __init__(self, spool: FakeSpool) -> None:
        self.spool, self.now, self.join_s = spool, 0.0, 0.0
        self.waiting: dict[Lane, dict[tuple[int, int], float]] = {lane: {} for lane in LANES}
        """Commit time of each observation that has not departed, by (epoch, number)."""
        self.last: dict[tuple[str, Lane], tuple[int, int]] = {}
        self.begin()

    def begin(self) -> None:
        """The connection stands: what is there now is history."""
        self.border = {lane: (self.spool.head(lane).epoch, self.spool.head(lane).seq) for lane in LANES}

    def committed(self, lane: Lane) -> None:
        frame = self.spool.frames[lane][-1]
        for seq in range(frame.first, frame.last + 1):
            self.waiting[lane][frame.epoch, seq] = self.now

    def _has_live(self, lane: Lane, *, must_go: bool) -> bool:
        """Whether live data of a lane wait that are surely still live, and surely need not be gathered longer."""
        gathered = self.join_s if must_go and lane in ("numeric", "wave") else 0.0
        ages = [self.now - at for name, at in self.waiting[lane].items() if name > self.border[lane]]
        return any(gathered <= age for age in ages) and all(age < LATE_S for age in ages)

    def _has_past(self, lane: Lane) -> bool:
        return any(name <= self.border[lane] for name in self.waiting[lane])

    def judge(self, departure: Departure) -> None:
        """Called at each departure, before it is booked."""
        era, lane = departure.era, departure.lane
        ranks = {
            ("event", "live"): 0,
            ("event", "hist"): 1,
            ("numeric", "live"): 2,
            ("numeric", "hist"): 3,
            ("wave", "live"): 3,
            ("wave", "hist"): 4,
            ("log", "live"): 5,
            ("log", "hist"): 6,
        }
        rank = ranks[lane, era]
        for (of, when), higher in ranks.items():
            if higher < rank:
                waits = self._has_live(of, must_go=True) if when == "live" else self._has_past(of)  # type: ignore[arg-type]
                assert not waits, f"{era} {lane} left before {when} {of}"
        names = [(departure.epoch, seq) for seq in range(departure.first, departure.last + 1)]
        for name in names:
            assert name in self.waiting[lane], "departed twice, or never committed"
            del self.waiting[lane][name]
        assert self.last.get((era, lane), (0, 0)) < names[0], "order within a lane and era"
        self.last[era, lane] = names[-1]
        earlier = [name for name in self.waiting[lane] if name < names[0]]
        assert era == "live" or not earlier, "oldest first"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(LANES), st.integers(1, 5)),
        st.tuples(st.just("pass"), st.floats(0.1, 40.0), st.none()),
        st.tuples(st.just("send"), st.integers(1, 6), st.booleans()),
        st.tuples(st.just("pace"), st.sampled_from([0.0, 10.0]), st.sampled_from([600, 5000, 1 << 20])),
        st.tuples(st.just("confirm"), st.none(), st.none()),
    ),
    min_size=1,
    max_size=80,
)
MAKE: dict[Lane, AnyObservation] = {"event": alert("a"), "numeric": numeric("1"), "wave": wave()}


def put(spool: FakeSpool, lane: Lane, count: int) -> None:
    if lane == "log":
        spool.put_raw("log", count, b"[" + b",".join([b'{"kind":"log"}'] * count) + b"]")
    else:
        spool.put(*[MAKE[lane]] * count)


@given(st.lists(st.tuples(st.sampled_from(LANES), st.integers(1, 4)), max_size=20), STEPS)
def test_the_priority_law(outage: list[tuple[Lane, int]], steps: list[tuple[str, object, object]]) -> None:
    """Nothing departs while something of higher rank could; nothing twice; each lane and era in order; all of it."""
    spool = FakeSpool()
    law = Law(spool)
    for lane, count in outage:
        put(spool, lane, count)
        law.committed(lane)
    law.begin()
    schedule = Schedule(spool)
    sent: list[Sent] = []

    def send(most: int, *, is_cut: bool) -> None:
        for departure in departures(schedule, law.now):
            half = schedule.shorten(departure, 10) if is_cut else None
            law.judge(half or departure)
            sent.append(schedule.take(half or departure, (half or departure).content_bytes))
            most -= 1
            if not most:
                return

    for what, one, other in steps:
        if what == "put":
            put(spool, one, other)  # type: ignore[arg-type]
            law.committed(one)  # type: ignore[arg-type]
            schedule.observe(law.now)
        elif what == "pass":
            law.now += one  # type: ignore[operator]
            schedule.observe(law.now)
        elif what == "pace":
            law.join_s = one  # type: ignore[assignment]
            schedule.pace = Pace(other, other, one)  # type: ignore[arg-type]
        elif what == "send":
            send(one, is_cut=bool(other))  # type: ignore[arg-type]
        else:
            for past in sent:
                before = ((1, past.first - 1),) if past.first > 1 else ()
                spool.acknowledge(past.lane, past.epoch, past.last, before)
                schedule.settle(past.lane, is_word=True)
            sent.clear()
    law.now += 100.0
    send(10_000, is_cut=False)
    law.now += 100.0
    send(10_000, is_cut=False)
    assert not any(law.waiting.values())


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
def test_in_any_order_of_things_everything_goes_and_history_never_overtakes(
    actions: list[tuple[str, object]],
) -> None:
    spool = FakeSpool()
    schedule = Schedule(spool)
    sent: set[tuple[Lane, int, int]] = set()
    waiting: list[Sent] = []
    for action, what in actions:
        if action == "put":
            spool.put(MAKE[what])  # type: ignore[index]
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
                way, first = (departure.era, departure.lane), Position(departure.epoch, departure.first)
                assert first > last.get(way, Position(0, 0))
                last[way] = Position(departure.epoch, departure.last)
                assert not spool.is_acknowledged(departure.lane, first.epoch, first.seq, first.seq)
                waiting.append(schedule.take(departure, 10))
                sent |= {(departure.lane, first.epoch, n) for n in range(first.seq, departure.last + 1)}
    for _era, lane, epoch, first_, last_ in drain(schedule):
        sent |= {(lane, epoch, n) for n in range(first_, last_ + 1)}
    for lane in LANES[:3]:
        for frame in spool.frames[lane]:
            is_done = spool.is_acknowledged(lane, frame.epoch, frame.first, frame.first)
            assert is_done or (lane, frame.epoch, frame.first) in sent
