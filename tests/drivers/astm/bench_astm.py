"""CPU cost of the whole driver, link layer included; by hand or by the bench (at least 5,000 messages a second)."""

import time

from drivers import catalog

RESULTS = 30
MESSAGES = 400


def _frame(number: int, text: bytes, end: bytes = b"\x03") -> bytes:
    body = b"%d" % (number % 8) + text + end
    return b"\x02" + body + b"%02X" % (sum(body) & 0xFF) + b"\r\n"


def _records(serial: int) -> list[bytes]:
    records = [rb"H|\^&|||XP-300^00-07^^^^A0001^X||||||||E1394-97", b"P|1"]
    records.append(b"O|1||^^%15d^B|^^^^WBC|||||||N||||||||||||||F" % serial)
    records += [
        b"R|%d|^^^^T%02d^1| %d.%d|10*3/uL||N||||OP             ||20260101080000" % (n, n, n, serial % 10)
        for n in range(1, RESULTS + 1)
    ]
    return [record + b"\r" for record in (*records, b"L|1|N")]


def sessions(count: int, *, in_one_frame: bool) -> list[list[bytes]]:
    """Sessions as the device would send them, cut where it waits for an answer."""
    made = []
    for serial in range(count):
        texts = [b"".join(_records(serial))] if in_one_frame else _records(serial)
        made.append([b"\x05", *(_frame(n, text) for n, text in enumerate(texts, 1)), b"\x04"])
    return made


def messages_per_cpu_second(*, in_one_frame: bool = True) -> float:
    """30-result messages read per second of CPU, the best of five rounds."""
    best = 0.0
    for _ in range(5):
        driver = catalog.create(catalog.profile("astm", "sysmex_xp"))
        driver.start(0.0)
        traffic = sessions(MESSAGES, in_one_frame=in_one_frame)
        read = 0
        began = time.process_time()
        for number, session in enumerate(traffic):
            for piece in session:
                read += len(driver.receive(piece, float(number)).observations)  # type: ignore[arg-type]
        spent = time.process_time() - began
        if read < MESSAGES * RESULTS:
            raise AssertionError(f"{read} results of {MESSAGES * RESULTS}")
        best = max(best, MESSAGES / spent)
    return best
