"""Payloads that would like to become large; as a program, by how many bytes decoding one makes a process grow."""

import contextlib
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from zstandard import ZstdCompressor

from drivers.observation import ClockTrust
from gateway.uplink.body import MOST_OBSERVATIONS, MOST_SAMPLES, MOST_TEXTS, Body, Source, whole
from gateway.uplink.columns import Scatter, pack
from gateway.uplink.compact import DOCUMENT_LIMIT_BYTES, encode_compact
from gateway.uplink.envelope import Malformed
from gateway.uplink.forms import SHOWN, Form
from gateway.uplink.schema import decode_frame
from tests.gateway.uplink.monitor_frames import monitor_frame

ROOM = DOCUMENT_LIMIT_BYTES - (20 << 10)
STEM = b'[{"kind":"numeric","vendor":{"code":"V"},"validity":"valid","value":0,"unit":"","category":"setting"}]'
CURVE = (
    b'[{"kind":"waveform","validity":"valid","samples":[],"interval_us":1,"scale":1,"offset":0,"unit":"",'
    b'"category":"setting"}]'
)


def wrapped(document: bytes, **settings: Any) -> bytes:
    """A payload around any bytes."""
    return b"JC\x01\0\0\0\0" + ZstdCompressor(write_checksum=True, **settings).compress(document)


def document(body: Any, count: int = MOST_OBSERVATIONS) -> bytes:
    """A document around any body."""
    return wrapped(msgspec.msgpack.encode(["g", "s", "00", None, 1, "numeric", 1, count, body]))


def zeros(*sizes: int) -> bytes:
    """Columns of so many zeros, as the body of a frame has them."""
    scatter = Scatter()
    for size in sizes:
        scatter.add([0] * size)
    return scatter.packed()


def columns(stems: bytes, count: int = MOST_OBSERVATIONS, rest: tuple[int, ...] = (), **changes: Any) -> bytes:
    """`count` observations of one stem in as many batches, a millisecond apart, everything about them zero."""
    body = Body(
        sources=[Source("d", "p", "x", None, None)],
        trusts=[ClockTrust("ntp")],
        stems=stems,
        patterns=pack([1, 1, 0]),
        batches=pack([count, *[0] * count, *[0] * count, *[1] * count, *[0] * count]),
        moments=pack([0, 1, 0] if count > 1 else [0, 0]),
        faces=[],
        face_numbers=b"",
        forms=[Form(0, SHOWN)],
        series=pack([0]),
        shapes=b"",
        texts=[],
        scatter=zeros(count - 1, count - 1, *(rest or (1, count - 1))),
    )
    return document(msgspec.structs.replace(body, **changes), count)


def large_numbers() -> bytes:
    """As many samples as large as there is room for, each told in full."""
    scatter = Scatter()
    scatter.add([(1 << 61) - at for at in range(ROOM * 8 // 86)])
    return columns(CURVE, 1, shapes=pack([ROOM * 8 // 86, 0, 0, 0]), scatter=scatter.packed())


def lying(size: bytes) -> bytes:
    """A frame whose header promises another size; single segment, four bytes of size."""
    return b"JC\x01\0\0\0\0" + b"\x28\xb5\x2f\xfd\xa0" + size + b"\x01\0\0" + b"\x03\0\x10\0"


BOMBS: dict[str, Callable[[], bytes]] = {
    "half a gigabyte, said so": lambda: wrapped(bytes(512 << 20)),
    "half a gigabyte, not said": lambda: wrapped(bytes(512 << 20), write_content_size=False),
    "size that lies low": lambda: lying((9).to_bytes(4, "little")),
    "size that lies high": lambda: lying((1 << 31).to_bytes(4, "little")),
    "size that lies a little": lambda: lying((200 << 10).to_bytes(4, "little")),
    "nested lists": lambda: wrapped(b"\x91" * ROOM),
    "nested lists in the body": lambda: document([b"\x91" * 9, *[[[[]]]] * 9] * 1000),
    "a list of four billion": lambda: wrapped(b"\xdd\xff\xff\xff\xff" * 20),
    "bytes of four billion": lambda: wrapped(b"\xc6\xff\xff\xff\xff"),
    "empty lists": lambda: document([[[]] * ROOM]),
    "most observations": lambda: columns(STEM),
    "most observations, wide texts": lambda: columns(STEM, forms=[Form(0, SHOWN, "x" * 64, 64, " ", ".", "x" * 64)]),
    "too many observations": lambda: columns(STEM, MOST_OBSERVATIONS + 1),
    "short texts": lambda: columns(STEM, texts=["a"] * MOST_TEXTS),
    "too many texts": lambda: columns(STEM, texts=["a"] * (MOST_TEXTS + 1)),
    "clocks": lambda: columns(STEM, trusts=[ClockTrust("ntp")] * MOST_OBSERVATIONS),
    "too many clocks": lambda: columns(STEM, trusts=[ClockTrust("ntp")] * (ROOM // 14)),
    "forms": lambda: columns(STEM, forms=[Form(0, 1)] * MOST_OBSERVATIONS),
    "too many forms": lambda: columns(STEM, forms=[Form(0, 1)] * (ROOM // 10)),
    "sources": lambda: columns(STEM, sources=[Source("", "", "", None, None)] * MOST_OBSERVATIONS),
    "too many sources": lambda: columns(STEM, sources=[Source("", "", "", None, None)] * (ROOM // 6)),
    "too many faces": lambda: columns(STEM, faces=["0"] * (ROOM // 2)),
    "many stems": lambda: columns(b"[" + b",".join([STEM[1:-1]] * (ROOM // len(STEM))) + b"]"),
    "a long stem": lambda: columns(STEM.replace(b'"V"', b'"' + b"V" * ROOM + b'"')),
    "a long name": lambda: columns(STEM, sources=[Source("d" * ROOM, "", "", None, None)]),
    "a long boot": lambda: columns(STEM, trusts=[ClockTrust("ntp", 1, "b" * ROOM)]),
    "a long form": lambda: columns(STEM, forms=[Form(0, SHOWN, "x" * ROOM)]),
    "a long face": lambda: columns(STEM, faces=["0" * ROOM]),
    "a long curve": lambda: columns(CURVE, 1, (MOST_SAMPLES,), shapes=pack([MOST_SAMPLES, 0, 0, 0])),
    "too long a curve": lambda: columns(CURVE, 1, (9,), shapes=pack([1 << 40, 0, 1, 0, 1 << 40, 0])),
    "a curve of large numbers": large_numbers,
    "a hole": lambda: columns(CURVE, 1, (0,), shapes=pack([MOST_SAMPLES, 0, 1, 0, MOST_SAMPLES, 0])),
    "many curves": lambda: columns(CURVE, rest=(MOST_SAMPLES,), shapes=pack([16, 0, 0, 0] * MOST_OBSERVATIONS)),
    "flags": lambda: document(whole(b"[" + b",".join([b'"a"'] * (ROOM // 4)) + b"]")),
    "one letter each": lambda: document(whole(b'[{"kind":"result","flags":[' + b",".join([b'"a"'] * (ROOM // 4)))),
    "counters": lambda: document(
        whole(
            b'[{"kind":"device","validity":"valid","connection":"stale","counters":{'
            + b",".join(b'"%x":7' % number for number in range(ROOM // 10))
            + b"}}]"
        ),
        1,
    ),
    "samples as text": lambda: document(
        whole(CURVE.replace(b"[]", b"[" + b",".join([b"300"] * (ROOM // 4 - 50)) + b"]")), 1
    ),
}


def main(name: str) -> None:
    """Everything is loaded and used once before the mark is set."""
    decode_frame(encode_compact(monitor_frame(1, monitors=1, seconds=1)))
    payload = BOMBS[name]()
    gc.collect()
    # The bomb's own making counts for nothing: the kernel is asked to begin anew.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = peak()
    with contextlib.suppress(Malformed):
        decode_frame(payload)
    sys.stdout.write(str(peak() - before))


def peak() -> int:
    """The high-water mark of resident memory in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(sys.argv[1])
