"""Small payloads that ask for much memory; `python -m tests.threats.bombs decode|session` tells what they cost.

A process of its own, with a limit of its own: a bomb that goes off ends it and nothing else.
"""

import ctypes
import gc
import json
import resource
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace
from zstandard import ZstdCompressor

from gateway.uplink.compact import MAGIC, VERSION
from gateway.uplink.schema import Malformed, decode_frame, encode, frame_type, sign_ack
from tests.simulators.central.test_store import frame

GROWTH_LIMIT_KB = 16 << 10
ADDRESS_SPACE_BYTES = 1 << 30
"""Beyond it Python says MemoryError: the machine of the test stays well."""
MANY = 200_000


def zstd_frame(blocks: int, *, declared: int | None, window: int = 0x38) -> bytes:
    """RFC 8878: `blocks` RLE blocks of 128 KiB behind a head that declares anything. 0x38: a window of 128 KiB."""
    head = struct.pack("<IB", 0xFD2FB528, 0x00 if declared is None else 0xC0) + bytes([window])
    size = b"" if declared is None else struct.pack("<Q", declared)
    block = (128 << 10) << 3 | 1 << 1
    body = (struct.pack("<I", block)[:3] + b"\0") * (blocks - 1) + struct.pack("<I", block | 1)[:3] + b"\0"
    return head + size + body


def _compact(zstd: bytes, dictionary: int = 0) -> bytes:
    return MAGIC + bytes([VERSION]) + struct.pack(">I", dictionary) + zstd


def _packed(document: bytes) -> bytes:
    return _compact(ZstdCompressor().compress(document))


def frames() -> dict[str, bytes]:
    """For whoever decodes frames."""
    gib = 8192
    plain = encode(frame(1, 1))
    return {
        "zstd, 1 GiB, declared": _compact(zstd_frame(gib, declared=1 << 30)),
        "zstd, 1 GiB, not declared": _compact(zstd_frame(gib, declared=None)),
        "zstd, 1 GiB, said to be 1,000": _compact(zstd_frame(gib, declared=1000)),
        "zstd, 1 GiB, said to be 0": _compact(zstd_frame(gib, declared=0)),
        "zstd, 128 KiB, said to be 2^63": _compact(zstd_frame(1, declared=1 << 63)),
        "zstd, window of 2^41": _compact(zstd_frame(1, declared=128 << 10, window=0xF8)),
        "zstd, window of 2^30": _compact(zstd_frame(1, declared=128 << 10, window=0xA0)),
        "zstd, good and behind it a bomb": _packed(b"\x90") + zstd_frame(gib, declared=1000),
        "zstd, a zstd bomb inside": _packed(zstd_frame(gib, declared=1 << 30)),
        "zstd, nothing": _compact(b""),
        "dictionary, unknown": _compact(zstd_frame(gib, declared=1 << 30), 1),
        "msgpack, nested arrays": _packed(b"\x91" * MANY),
        "msgpack, nested maps": _packed(b"\x81\xa0" * (MANY // 2)),
        "msgpack, nested in its place": _packed(b"\x99\xa1g\xa1s\xa1p\xc0\x01\xa5event\x01\x01" + b"\x91" * MANY),
        "msgpack, 2^32 elements": _packed(b"\xdd\xff\xff\xff\xff"),
        "msgpack, 2^32 keys": _packed(b"\xdf\xff\xff\xff\xff"),
        "msgpack, text of 4 GiB": _packed(b"\x99\xdb\xff\xff\xff\xff"),
        "msgpack, bytes of 4 GiB": _packed(b"\x99\xc6\xff\xff\xff\xff"),
        "JSON, nested arrays": b'{"x":' + b"[" * (2 << 20),
        "JSON, nested objects": b'{"x":' + b'{"x":' * MANY,
        "JSON, nested observations": plain.replace(b'"count":1', b'"count":1,"x":' + b"[" * MANY),
        "JSON, nested in an observation": plain.replace(b'"vendor":{', b'"vendor":{"x":' + b"[" * MANY),
        "JSON, a number of a million digits": plain.replace(b"97.0", b"9" * 1_000_000 + b"x"),
        "JSON, an exponent of a million digits": plain.replace(b"97.0", b"1e" + b"9" * 1_000_000 + b"x"),
        "JSON, a count of 2^62": plain.replace(b'"count":1', b'"count":%d' % (1 << 62)),
        "JSON, a count of 10^5000": plain.replace(b'"count":1', b'"count":1' + b"0" * 5000),
        "JSON, a million empty observations": plain.replace(b"[{", b"[" + b"{}," * 1_000_000 + b"{"),
        "JSON, 64 MiB": plain + b" " * (64 << 20),
        "JSON, half of a surrogate": plain.replace(b"SPO2", b"\\ud800"),
        "no UTF-8": plain.replace(b"SPO2", b"\xff\xfe"),
    }


def _with(plain: bytes, small: bytes, count: int) -> bytes:
    head, _, tail = plain.partition(b"[")
    many = b"[" + (small * count)[:-1] + tail[tail.rindex(b"]") :]
    return head.replace(b'"count":1', b'"count":%d' % count) + many


def crowds(size: int) -> dict[str, bytes]:
    """Frames of the contract, of about `size` bytes, that are much larger as objects."""
    plain = encode(frame(1, 1))
    small = b'{"kind":"numeric","vendor":{"code":""},"validity":"valid","value":1,"unit":"","category":"setting"},'
    wave = (
        b'{"kind":"waveform","vendor":{"code":""},"validity":"valid","unit":"","category":"setting",'
        b'"interval_us":1,"scale":1,"offset":0,"samples":[%s1]},'
    )
    return {
        f"{size >> 10} KiB of small observations": _with(plain, small, size // len(small) - 10),
        f"{size >> 10} KiB of samples": _with(plain, wave % (b"999," * (size // 4 - 100)), 1),
    }


def words(key: bytes, root: str, dictionary: str) -> list[tuple[str, bytes]]:
    """For a box: what the platform's side of the link could be made to say, none of it right."""
    site, gateway = root.split("/")[2:]
    good = encode(sign_ack(key, site, gateway, "event", spool="00ff00ff00ff00ff", epoch=1, upto=1))
    holes = b",".join(b"[%d,%d]" % (at, at) for at in range(2, 40_000, 2))
    payloads = [
        *(b"[" * MANY, b'{"spool":' + b"[" * MANY, b'{"holes":' + b"[" * MANY, b'{"x":' * (MANY // 5)),
        *(good[:-1] + b',"x":' + b"[" * 50_000, good.replace(b'"upto":1', b'"upto":' + b"9" * 50_000)),
        *(good.replace(b'"holes":[]', b'"holes":[' + holes + b"]"), good + b" " * (32 << 20), b"", b"\0" * 60_000),
        *(good.replace(b"00ff", b"\xff\xfe"), good.replace(b'"mac":"', b'"mac":"' + b"f" * 60_000)),
        *(zstd_frame(8192, declared=1 << 30), *list(frames().values())[:18]),
    ]
    leaves = ("ack/event", "ack/numeric", "ack/time", "ack/" + "x" * 200, "cmd/restart", "cmd/" + "/" * 100)
    topics = [f"{root}/{leaf}" for leaf in leaves] + [f"jisr/v1/meta/dict/{dictionary}", "jisr/v1/meta/dict/00000001"]
    return [(topic, payload) for topic in topics for payload in payloads]


def most_kb(pid: int | str = "self") -> int:
    """The most memory since `forget_most`."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM:"))


def forget_most(pid: int | str = "self") -> None:
    """proc(5): 5 in clear_refs sets VmHWM to what is used now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def _growth_kb(work: Callable[[], object]) -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # or what was freed before would hide what is taken now
    forget_most()
    before = most_kb()
    work()
    return most_kb() - before


def _decode() -> dict[str, tuple[str, int]]:
    """Of each frame: the reason of its refusal, and the growth."""
    found: dict[str, tuple[str, int]] = {}
    decode_frame(encode(frame(1, 100)))
    for name, payload in (frames() | crowds(1 << 20) | crowds(4_000_000)).items():
        reason = ["taken"]

        def work(payload: bytes = payload, reason: list[str] = reason) -> None:
            frame_type(payload)
            try:
                decode_frame(payload)
            except Malformed as error:
                reason[0] = error.reason

        grown = _growth_kb(work)
        found[name] = (reason[0], grown)
    return found


def _session() -> dict[str, tuple[str, int]]:
    """Of all words together: what the spool was asked to free, and the growth; and then of a right one."""
    from gateway.uplink.dial import SystemTime
    from gateway.uplink.dictionary import NEWEST
    from gateway.uplink.timekeeper import Timekeeper
    from tests.gateway.uplink.fake_spool import alert
    from tests.gateway.uplink.test_session import GATEWAY, KEY, SITE, Desk

    desk = Desk(encoding="compact")
    desk.session._t = replace(desk.session._t, timekeeper=Timekeeper(SITE, GATEWAY, SystemTime()))
    desk.spool.put(alert("x"))
    desk.turn()
    hostile = words(KEY, f"jisr/v1/{SITE}/{GATEWAY}", NEWEST)
    waiting = desk.spool.waiting()

    def work() -> None:
        for topic, payload in hostile:
            desk.session.received(topic, payload)

    grown = _growth_kb(work)
    freed = waiting - desk.spool.waiting() + len(desk.spool.calls)
    ack = sign_ack(KEY, SITE, GATEWAY, "event", spool=desk.spool.id, epoch=1, upto=1)
    desk.session.received(f"jisr/v1/{SITE}/{GATEWAY}/ack/event", encode(ack))
    return {"bombs": (str(freed), grown), "right": (str(waiting - desk.spool.waiting()), 0)}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    json.dump({"decode": _decode, "session": _session}[sys.argv[1]](), sys.stdout)
