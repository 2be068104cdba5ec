"""docs/platform/compact.md is the encoding: its example holds, who decodes by the page alone reads every frame."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from msgspec import Raw, msgpack

from drivers.observation import AnyObservation
from gateway.uplink import body, forms
from gateway.uplink.compact import DOCUMENT_LIMIT_BYTES, HIGHEST, TEXT_LIMIT_BYTES, document_of, encode_compact
from gateway.uplink.dictionary import newest
from gateway.uplink.envelope import FrameEnvelope
from gateway.uplink.schema import decode_frame
from gateway.uplink.unfold import PLACEHOLDERS_BYTES
from tests.gateway.uplink.monitor_frames import WAVES, monitor_frame, wave_frame
from tests.gateway.uplink.observations import anything, streams
from tests.gateway.uplink.test_compact import framed
from tests.platform import compact_by_the_page
from tests.platform.contract import DOCS

PAGE = (DOCS / "compact.md").read_text(encoding="utf-8")
EXAMPLE = PAGE.partition("## Worked example")[2]
DOCUMENT, PAYLOAD = (bytes.fromhex(found) for found in re.findall(r"```hex\n(.*?)```", EXAMPLE, re.S))


def example() -> FrameEnvelope:
    """The frame that the page describes."""
    (said,) = re.findall(r"```json\n(.*?)```", EXAMPLE, re.S)
    payload = "".join(line.strip() for line in said.splitlines()).encode()
    return FrameEnvelope("gw-rabat-017", "chu-rabat", "9f0c1d2e3a4b5c6d", 7, "numeric", 48211, 4, Raw(payload))


def test_the_example_byte_for_byte() -> None:
    assert document_of(example()) == DOCUMENT
    assert decode_frame(PAYLOAD)[0] == example()


def test_the_parts_of_the_example() -> None:
    told = dict(re.findall(r"^\| (\w+) \| `(.*?)`", EXAMPLE.partition("Its body:")[2], re.M))
    names = body.Body.__struct_fields__
    parts = dict(zip(names, msgpack.decode(DOCUMENT)[8], strict=True))
    assert parts["sources"] == json.loads(told["sources"])
    assert parts["trusts"] == json.loads(told["trusts"])
    for name in ("patterns", "series", "scatter"):
        assert parts[name] == bytes.fromhex(told[name])
    rows = re.findall(r"^\| (batches|moments) \| (.*) \|$", EXAMPLE, re.M)
    for name, row in rows:
        assert parts[name] == bytes.fromhex("".join(re.findall(r"`([0-9a-f ]+)`", row)))
    (row,) = re.findall(r"^\| forms \| (.*) \|$", EXAMPLE, re.M)
    assert parts["forms"] == [json.loads(form) for form in re.findall(r"`(\[.*?\])`", row)]
    bits = "".join(re.findall(r"^\| `([01 ]+)` \|", EXAMPLE, re.M)).replace(" ", "")
    assert parts["scatter"] == int(bits, 2).to_bytes(len(bits) // 8, "big")


def test_the_table_of_the_body() -> None:
    table = PAGE.partition("element of the body")[2].partition("\n\n")[0]
    named = re.findall(r"^\| (\d+) \| ([a-z ]+) \| (?:array|bytes) \|", table, re.M)
    assert [name.replace(" ", "_") for _number, name in named] == list(body.Body.__struct_fields__)
    assert [int(number) for number, _name in named] == list(range(len(named)))
    assert f"`[{', '.join(forms.Form.__struct_fields__)}]`" in PAGE
    assert f"`[{', '.join(body.Source.__struct_fields__)}]`" in PAGE


def test_the_bounds() -> None:
    numbers = (body.MOST_OBSERVATIONS, body.MOST_SAMPLES, body.MOST_TEXTS)
    for said in (
        f"| {DOCUMENT_LIMIT_BYTES >> 10} KiB |",
        "| " + " · ".join(f"{number:,}" for number in numbers) + " |",
        f"| {body.LONGEST_FACE} characters · {forms.WIDEST} characters · {forms.WIDEST} |",
        f"| {TEXT_LIMIT_BYTES >> 20} MiB and {PLACEHOLDERS_BYTES} bytes for each;",
        f"at most {DOCUMENT_LIMIT_BYTES:,} bytes",
    ):
        assert said in PAGE
    assert HIGHEST == 2**53 - 1
    assert body.FURTHEST == 2**62 - 1


def read_alike(frame: FrameEnvelope) -> None:
    """By the page as by Jisr."""
    dictionary = newest()
    assert dictionary is not None
    envelope, seen = compact_by_the_page.read(encode_compact(frame, dictionary), dictionary.content)
    assert envelope[:3] == [frame.gateway, frame.site, frame.spool]
    assert envelope[4:] == [frame.epoch, frame.lane, frame.first, frame.count]
    wanted: list[dict[str, Any]] = json.loads(bytes(frame.observations), parse_float=str, parse_int=str)
    assert seen == wanted


def test_who_decodes_by_the_page_reads_what_monitors_say() -> None:
    read_alike(monitor_frame(3))
    read_alike(example())


@pytest.mark.parametrize("device", WAVES)
def test_who_decodes_by_the_page_reads_curves(device: str) -> None:
    read_alike(wave_frame(device))


@given(streams().filter(bool))
def test_who_decodes_by_the_page_reads_anything(seen: list[AnyObservation]) -> None:
    read_alike(framed(*seen))


@given(anything)
def test_who_decodes_by_the_page_reads_any_kind(seen: AnyObservation) -> None:
    read_alike(framed(seen, seen))
