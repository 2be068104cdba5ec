"""What the code sends is valid by the published schema, and what its readers refuse is not."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from drivers import observation
from drivers.observation import AnyObservation, to_json
from gateway.uplink import schema
from gateway.uplink.time import TimeRequest, sign_time
from tests.gates.sources import ROOT
from tests.platform.contract import DOCS, faults, read, validator

KINDS = (
    *(observation.Numeric, observation.Enumeration, observation.Waveform, observation.Alert, observation.Result),
    *(observation.Device, observation.Gap, observation.Clock),
)
NAMES = [path.stem for path in sorted((DOCS / "schema").glob("*.json"))]
EXAMPLES = {
    message["payload"]["$ref"].split("/")[1].split(".")[0]: message["examples"][0]["payload"]
    for message in read("asyncapi.json")["components"]["messages"].values()
    if "examples" in message
}
NAME = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
FROM_1 = st.integers(1, 2**53)
AT = st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z".zfill(24))
DECIMAL = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9)
SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "gateway": NAME,
    "at": st.just("") | AT,
    "epoch": FROM_1,
    "seq": FROM_1,
    "first": FROM_1,
    "last": FROM_1,
    "gap_epoch": FROM_1,
    "reason": st.text(min_size=1),  # an absent value always has one
    "mono_s": st.floats(0, 1e9),
}


def _field(field: msgspec.structs.FieldInfo) -> st.SearchStrategy[Any]:
    if field.name in SPECIAL:
        return SPECIAL[field.name]
    text = str(field.type)
    if "Decimal" in text:
        return DECIMAL | st.none() if "None" in text else DECIMAL
    if "Vendor" in text:
        return st.none() | st.builds(observation.Vendor, st.text(), st.text())
    if "ClockTrust" in text:
        return st.none() | st.builds(
            observation.ClockTrust, st.sampled_from(["none", "ntp"]), st.none() | FROM_1, st.text(), st.floats(0, 1e9)
        )
    if "Mark" in text:
        return st.lists(st.builds(observation.Mark, FROM_1, st.text())).map(tuple)
    found: st.SearchStrategy[Any] = st.from_type(field.type)
    return found


def observations() -> st.SearchStrategy[Any]:
    return st.one_of(
        [st.builds(kind, **{field.name: _field(field) for field in msgspec.structs.fields(kind)}) for kind in KINDS]
    )


def frame_of(seen: list[AnyObservation]) -> schema.FrameEnvelope:
    payload = b"[" + b",".join(to_json(one) for one in seen) + b"]"
    return schema.FrameEnvelope("gw", "site", "00ff00ff00ff00ff", 1, "event", 1, len(seen), msgspec.Raw(payload))


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_json_schema_2020_12(name: str) -> None:
    assert read(f"schema/{name}.json")["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(read(f"schema/{name}.json"))


def test_every_kind_of_observation_has_its_schema() -> None:
    assert set(KINDS) == set(observation.AnyObservation.__args__)
    mentioned = {choice["$ref"] for choice in read("schema/observation.json")["oneOf"]}
    assert mentioned == {f"#/$defs/{kind.__name__}" for kind in KINDS}


@given(observations())
def test_any_observation_is_valid(one: Any) -> None:
    assert faults("observation", to_json(one)) == []
    assert faults("frame", schema.encode(frame_of([one, one]))) == []


def test_every_observation_of_the_test_data_is_valid() -> None:
    lines = [
        line
        for path in sorted((ROOT / "drivers").rglob("expected.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if not line.startswith('{"fault"')
    ]
    assert len(lines) > 100
    assert [line for line in lines if faults("observation", line)] == []


@given(
    st.lists(st.tuples(FROM_1, st.integers(0, 9)), max_size=80), st.sampled_from(["event", "numeric", "wave", "log"])
)
def test_any_acknowledgement_is_valid(pieces: list[tuple[int, int]], lane: Any) -> None:
    holes, before = [], 0
    for step, length in pieces:
        holes.append((before + step, before + step + length))
        before = holes[-1][1]
    ack = schema.sign_ack(
        b"k" * 32, "site", "gw", lane, spool="00ff00ff00ff00ff", epoch=1, upto=before + 1, holes=holes
    )
    assert faults("ack", schema.encode(ack)) == []


@given(st.binary(min_size=16, max_size=16), st.integers(0, 4_000_000_000))
def test_any_question_for_the_time_and_its_answer_are_valid(nonce: bytes, wall_s: int) -> None:
    assert faults("time", schema.encode(TimeRequest(nonce.hex()))) == []
    assert faults("time-answer", schema.encode(sign_time(b"k" * 32, "site", "gw", nonce.hex(), wall_s))) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_published_examples_are_valid(name: str) -> None:
    assert faults(name, json.dumps(EXAMPLES[name])) == []


def test_there_is_an_example_of_every_message() -> None:
    assert set(EXAMPLES) == set(NAMES) - {"observation"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_required_field_may_be_missing(name: str) -> None:
    required = read(f"schema/{name}.json")["required"]
    assert required
    for field in required:
        less = {key: value for key, value in EXAMPLES[name].items() if key != field}
        assert faults(name, json.dumps(less)), f"without {field}"


def test_fields_of_a_newer_box_are_passed_over() -> None:
    for name, example in EXAMPLES.items():
        assert faults(name, json.dumps({**example, "mood": "new"})) == []


NUMERIC = EXAMPLES["frame"]["observations"][0]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("frame", {"v": 2}),
        ("frame", {"first": 0}),
        ("frame", {"count": 0, "observations": []}),
        ("frame", {"epoch": 0}),
        ("frame", {"epoch": "7"}),
        ("frame", {"lane": "waves"}),
        ("frame", {"site": "chu/rabat"}),
        ("frame", {"gateway": "#"}),
        ("frame", {"spool": "9F"}),
        ("frame", {"observations": [{**NUMERIC, "kind": "spell"}]}),
        ("frame", {"observations": [{**NUMERIC, "value": "97.0"}]}),
        ("frame", {"observations": [{**NUMERIC, "value": None}]}),  # absent without a reason
        ("frame", {"observations": [{**NUMERIC, "validity": "good"}]}),
        ("frame", {"observations": [{key: NUMERIC[key] for key in NUMERIC if key != "unit"}]}),
        ("ack", {"mac": ""}),
        ("ack", {"mac": "A" * 64}),
        ("ack", {"upto": -1}),
        ("ack", {"holes": [[1, 2, 3]]}),
        ("ack", {"holes": [[0, 2]]}),
        ("ack", {"holes": [[2 * n + 1, 2 * n + 1] for n in range(65)]}),
        ("birth", {"ack": "nobody"}),
        ("birth", {"devices": [{"name": "x"}]}),
        ("birth", {"session": 0}),
        ("state", {"state": "asleep"}),
        ("health", {"devices": {"x": {}}}),
        ("health", {"counters": {"x": "many"}}),
        ("time", {"nonce": "00"}),
        ("time-answer", {"utc": "2026-11-24 09:15"}),
    ],
)
def test_what_is_not_of_the_contract_is_not_valid(name: str, changes: dict[str, Any]) -> None:
    assert faults(name, json.dumps({**EXAMPLES[name], **changes}))


def test_a_result_in_words_needs_no_reason_and_one_that_is_missing_does() -> None:
    said = {"kind": "result", "validity": "valid", "specimen": "S1", "test": "MTB", "value": None, "status": "final"}
    said["identity"] = "00"
    assert faults("observation", json.dumps({**said, "answer": "NOT DETECTED"})) == []
    assert faults("observation", json.dumps({**said, "reason": "not_measured"})) == []
    assert faults("observation", json.dumps(said))


def test_numbers_are_numbers_and_never_text() -> None:
    for kind, field in (("Numeric", "value"), ("Result", "value"), ("Waveform", "scale"), ("Waveform", "offset")):
        words = json.dumps(validator("observation").schema["$defs"][kind]["properties"][field])  # type: ignore[index]
        assert '"number"' in words
        assert '"string"' not in words
    assert b'"value":97.0' in to_json(msgspec.convert({**NUMERIC, "value": Decimal("97.0")}, observation.Numeric))
