"""JSON Schema 2020-12 of every message between box and platform, from the structs and their docstrings.

Only keywords that draft-07 has too, and none beside a `$ref`, so that an AsyncAPI tool reads the same files.
"""

import ast
import inspect
import textwrap
from functools import cache
from types import ModuleType
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Struct

from drivers import observation
from gateway.uplink import envelope, schema, time

Json = dict[str, Any]
Sender = Literal["box", "platform"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MODULES: tuple[ModuleType, ...] = (observation, envelope, schema, time)
"""Where the structs of the contract stand."""

NAME = {"pattern": "^[A-Za-z0-9._-]{1,64}$"}
SPOOL = {"pattern": "^[0-9a-f]{16}$"}
NONCE = {"pattern": "^[0-9a-f]{32}$"}
MAC = {"pattern": "^[0-9a-f]{64}$"}
FROM_1 = {"minimum": 1}
VERSION = {"const": 1}
TIME = {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
RULES: dict[tuple[str, str], Json] = {
    ("FrameEnvelope", "gateway"): NAME,
    ("FrameEnvelope", "site"): NAME,
    ("FrameEnvelope", "spool"): SPOOL,
    ("FrameEnvelope", "epoch"): FROM_1,
    ("FrameEnvelope", "first"): FROM_1,
    ("FrameEnvelope", "count"): FROM_1,
    ("FrameEnvelope", "observations"): {"type": "array", "minItems": 1, "items": {"$ref": "observation.json"}},
    ("FrameEnvelope", "v"): VERSION,
    ("Ack", "spool"): SPOOL,
    ("Ack", "epoch"): FROM_1,
    ("Ack", "upto"): {"minimum": 0},
    ("Ack", "holes"): {"maxItems": schema.ACK_HOLES},
    ("Ack", "mac"): MAC,
    ("Birth", "gateway"): NAME,
    ("Birth", "site"): NAME,
    ("Birth", "spool"): SPOOL,
    ("Birth", "epoch"): FROM_1,
    ("Birth", "session"): FROM_1,
    ("Birth", "v"): VERSION,
    ("State", "session"): FROM_1,
    ("State", "v"): VERSION,
    ("Health", "gateway"): NAME,
    ("Health", "session"): FROM_1,
    ("Health", "epoch"): FROM_1,
    ("Health", "v"): VERSION,
    ("TimeRequest", "nonce"): NONCE,
    ("TimeRequest", "v"): VERSION,
    ("TimeAnswer", "nonce"): NONCE,
    ("TimeAnswer", "utc"): TIME,
    ("TimeAnswer", "mac"): MAC,
    ("Gap", "gap_epoch"): FROM_1,
    ("Gap", "first"): FROM_1,
    ("Gap", "last"): FROM_1,
}
"""What the types do not say, but the readers of `gateway/uplink` refuse, or the writers hold to."""
EVERY_OBSERVATION = {"at": TIME, "epoch": FROM_1, "seq": FROM_1, "gateway": NAME}
ABSENT_HAS_A_REASON = ("Numeric", "Enumeration", "Result")
"""DESIGN section 5: an absent value is null, with a reason; a result may be said in words instead."""


class Document(NamedTuple):
    """One schema file: what it describes, and who sends it."""

    name: str
    title: str
    type: Any
    sender: Sender


DOCUMENTS = (
    Document("frame", "Frame", schema.FrameEnvelope, "box"),
    Document("observation", "Observation", observation.AnyObservation, "box"),
    Document("birth", "Birth", schema.Birth, "box"),
    Document("state", "State", schema.State, "box"),
    Document("health", "Health", schema.Health, "box"),
    Document("ack", "Acknowledgement", schema.Ack, "platform"),
    Document("time", "Time request", time.TimeRequest, "box"),
    Document("time-answer", "Time answer", time.TimeAnswer, "platform"),
)


@cache
def structs() -> dict[str, type[Struct]]:
    """Every struct of the contract by its name."""
    found = (value for module in MODULES for value in vars(module).values())
    return {value.__name__: value for value in found if isinstance(value, type) and issubclass(value, Struct)}


@cache
def field_words(cls: type[Struct]) -> dict[str, str]:
    """The docstring below each field, those of the parents included."""
    words: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        if one.__module__ in {module.__name__ for module in MODULES}:
            words |= _own_words(one)
    return words


def _own_words(cls: type) -> dict[str, str]:
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    words = {}
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for field, below in zip(statements, statements[1:], strict=False):
        is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            text = inspect.cleandoc(str(below.value.value))  # type: ignore[attr-defined]
            words[field.target.id] = text.replace(" None", " null")
    return words


def schema_of(document: Document) -> Json:
    """The whole file of one message."""
    (root,), components = msgspec.json.schema_components([document.type], ref_template="#/$defs/{name}")
    head = {"$schema": DIALECT, "title": document.title}
    definitions = {name: _struct(name, part, document.sender) for name, part in sorted(components.items())}
    if "$ref" in root:
        whole = definitions.pop(document.type.__name__)
        head["description"] = whole.pop("description")
        body = {key: value for key, value in whole.items() if key != "title"}
    else:
        head["description"] = "What a device said, in one of these kinds."
        body = {"oneOf": _plain(root)["anyOf"]}
    return {**head, **body, **({"$defs": definitions} if definitions else {})}


def _struct(name: str, part: Json, sender: Sender) -> Json:
    """One struct's schema with its fields described, bounded, and required if they are always sent."""
    cls = structs()[name]
    words = field_words(cls)
    rules: dict[str, Any] = EVERY_OBSERVATION if issubclass(cls, observation.Observation) else {}
    required = _required(cls, part, sender)
    properties = {}
    for field, found in part["properties"].items():
        rule: dict[str, Any] = RULES.get((name, field), rules.get(field, {}))
        plain = _plain(found)
        if field in required or rule or plain.get("default", 0) is None:
            plain.pop("default", None)
        if field not in required and "anyOf" in plain:
            plain |= _without_null(plain.pop("anyOf"))
        if field in words:
            plain = {"description": words[field], **({"allOf": [plain]} if "$ref" in plain else plain)}
        properties[field] = {**plain, **rule}
    made = {
        **part,
        "description": part["description"].replace(" None", " null"),
        "properties": properties,
        "required": required,
    }
    if name in ABSENT_HAS_A_REASON:
        made["if"] = {"properties": {"value": {"type": "null"}}}
        made["then"] = {"required": ["reason"]}
        if "answer" in properties:  # said in words is not missing
            made["then"] = {"anyOf": [{"required": ["reason"]}, {"required": ["answer"]}]}
    return made


def _required(cls: type[Struct], part: Json, sender: Sender) -> list[str]:
    """A box sends every field of a struct that does not leave out defaults; a platform may leave out what has one."""
    if cls in (schema.Ack, time.TimeAnswer):
        return [*part["required"], "mac"]
    if sender == "platform" or cls.__struct_config__.omit_defaults:
        return list(part.get("required", []))
    always = {field.encode_name for field in msgspec.structs.fields(cls) if field.default is not UNSET}
    return [field for field in part["properties"] if field in always]


def _without_null(choice: list[Json]) -> Json:
    """A field that is left out when it is null: the one other thing that it can be."""
    rest = [one for one in choice if one != {"type": "null"}]
    return rest[0] if len(rest) == 1 else {"anyOf": rest}


def _plain(part: Any) -> Any:
    """A piece of msgspec's schema: numbers as our encoder writes them, no `prefixItems`, no words of OpenAPI."""
    if isinstance(part, list):
        return [_plain(one) for one in part]
    if not isinstance(part, dict):
        return part
    if part.get("format") == "decimal":
        return {"type": "number", "description": "Decimal digits as the device printed them: 97.0 is not 97."}
    if "prefixItems" in part:
        return {"type": "array", "items": {"type": "integer", **FROM_1}, "minItems": 2, "maxItems": 2}
    return {key: _plain(value) for key, value in part.items() if key != "discriminator"}
