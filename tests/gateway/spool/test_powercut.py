"""Power goes at any flush: what was promised is there, once, in order; and the test can tell a card that lies."""

import random
from pathlib import Path

import pytest

from drivers.observation import LANES
from gateway.spool.spool import Position, Spool
from tests.gateway.spool.harness import SEGMENT, Card, Ledger, alert, no_flush, numeric, run, wave


async def life(folder: Path, ledger: Ledger, card: Card, seed: int, epochs: int = 3) -> None:
    """A few starts with puts, commits and acknowledgements, so that segments are recycled many times."""
    rng, number = random.Random(seed), 0
    for _ in range(epochs):
        spool = Spool.open(folder, flush=card.flush, segment_bytes=SEGMENT)
        ledger.watch(spool)
        await spool.put(spool.recovery.gaps)
        for tick in range(1, 41):
            number += 1
            await spool.put([numeric(number * 10 + at, rng.randrange(200)) for at in range(rng.randrange(6))])
            if rng.random() < 0.4:
                await spool.put([alert(number, rng.randrange(900)), wave(number, rng.randrange(1, 90))])
            await spool.tick(tick)
            if rng.random() < 0.5:
                lane = rng.choice(LANES)
                head = spool.head(lane)
                low = rng.randint(0, head.seq)
                ledger.acknowledge(spool, lane, head.epoch, head.seq - rng.randrange(3), [(low, low + 1)])
            if rng.random() < 0.2:
                for lane in LANES:
                    head = spool.head(lane)
                    for epoch in range(1, head.epoch + 1):
                        ledger.acknowledge(spool, lane, epoch, head.seq if epoch == head.epoch else 10**6)
        await spool.close()


def losses(card: Card, folder: Path) -> tuple[int, int]:
    """Over all images: how many starts lost something promised, and how many observations."""
    cuts = lost = 0
    for number in range(len(card.images)):
        ledger = card.restore(number, folder)
        spool = Spool.open(folder, flush=no_flush, segment_bytes=SEGMENT)
        ledger.gaps += [each for each in spool.recovery.gaps if each.reason != "torn_tail"]
        gone = ledger.missing(spool)
        cuts, lost = cuts + bool(gone), lost + len(gone)
        run(spool.close())
    return cuts, lost


@pytest.mark.parametrize("seed", range(3))
def test_nothing_promised_is_lost(tmp_path: Path, seed: int) -> None:
    ledger = Ledger()
    card = Card(tmp_path / "live", ledger, seed, share=0.35)
    run(life(tmp_path / "live", ledger, card, seed))
    assert len(card.images) > 50
    assert any(name.endswith(".free") for image in card.images for name in image[0]), "nothing was recycled"
    assert losses(card, tmp_path / "cut") == (0, 0)


def test_a_card_that_does_not_flush_is_found_out(tmp_path: Path) -> None:
    """The control: with a flush that does nothing the same test fails."""
    ledger = Ledger()
    card = Card(tmp_path / "live", ledger, 1, share=0.35, is_lying=True)
    run(life(tmp_path / "live", ledger, card, 1))
    cuts, lost = losses(card, tmp_path / "cut")
    assert cuts > len(card.images) // 2
    assert lost > 100


def test_a_second_cut_during_recovery(tmp_path: Path) -> None:
    """The power goes again while the start after the first cut is cutting tails and writing its epoch."""
    first = Ledger()
    card = Card(tmp_path / "live", first, 7, share=0.15)
    run(life(tmp_path / "live", first, card, 7, epochs=2))
    for number in range(0, len(card.images), 3):
        ledger = card.restore(number, tmp_path / "once")
        again = Card(tmp_path / "once", ledger, number)
        run(Spool.open(tmp_path / "once", flush=again.flush, segment_bytes=SEGMENT).close())
        for cut in range(len(again.images)):
            promised = again.restore(cut, tmp_path / "twice")
            spool = Spool.open(tmp_path / "twice", flush=no_flush, segment_bytes=SEGMENT)
            assert promised.missing(spool) == []
            run(spool.close())


@pytest.mark.parametrize("count", range(195, 206))
def test_recycled_segments_never_bring_back_old_frames(tmp_path: Path, count: int) -> None:
    """Wherever in a segment the last commit ends: what an earlier life left behind it is neither read nor damage."""

    async def work() -> None:
        spool = Spool.open(tmp_path, flush=no_flush, segment_bytes=SEGMENT)
        ledger = Ledger()
        ledger.watch(spool)
        for number in range(count):
            await spool.put([alert(number, 300)])
            if number % 7 == 6:
                ledger.acknowledge(spool, "event", 1, number + 1)
                await spool.tick(1)
        assert len(list((tmp_path / "event").glob("*.free"))) <= 4
        assert len(list((tmp_path / "event").iterdir())) < 12
        held = ledger.missing(spool)
        await spool.close()
        spool = Spool.open(tmp_path, flush=no_flush, segment_bytes=SEGMENT)
        assert held == ledger.missing(spool) == []
        assert spool.recovery.gaps == ()
        after = spool.frames_after("event", Position(0, 0), 1000)
        assert [each.first for each in after[-(count % 7) :]] == list(
            range(count - count % 7 + 1, count + 1)
        ) or not after
        assert bool(after) == bool(count % 7)
        assert all(each.first > 175 for each in after)
        await spool.close()

    run(work())
