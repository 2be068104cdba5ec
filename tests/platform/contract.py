"""The published files, read as an engineer elsewhere would read them: nothing here imports what made them."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

DOCS = Path(__file__).parents[2] / "docs" / "platform"


def read(name: str) -> Any:
    """One JSON file of docs/platform."""
    return json.loads((DOCS / name).read_text(encoding="utf-8"))


def _read_schema(uri: str) -> Resource[Any]:
    return Resource.from_contents(read(f"schema/{uri}"))


@cache
def validator(name: str) -> Draft202012Validator:
    """What judges messages by schema/<name>.json."""
    registry: Registry[Any] = Registry(retrieve=_read_schema)  # type: ignore[call-arg]
    return Draft202012Validator(read(f"schema/{name}.json"), registry=registry)


def faults(name: str, payload: bytes | str) -> list[str]:
    """What is wrong with a message, in words; empty for a good one."""
    return [f"{error.json_path}: {error.message}" for error in validator(name).iter_errors(json.loads(payload))]


@cache
def _channels() -> dict[str, tuple[re.Pattern[str], list[str]]]:
    document = read("asyncapi.json")
    found = {}
    for name, channel in document["channels"].items():
        pattern = re.escape(channel["address"]).replace(r"\{", "{").replace(r"\}", "}")
        for parameter in channel["parameters"]:
            words = document["components"]["parameters"][parameter].get("enum")
            pattern = pattern.replace(f"{{{parameter}}}", f"({'|'.join(words)})" if words else "[A-Za-z0-9._-]+")
        found[name] = (re.compile(pattern), list(channel["messages"]))
    return found


def channel_of(topic: str) -> str:
    """The one channel of asyncapi.json that a topic belongs to. Raises `LookupError` where there is none."""
    names = [name for name, (pattern, _messages) in _channels().items() if pattern.fullmatch(topic)]
    if len(names) != 1:
        raise LookupError(f"{topic}: {names}")
    return names[0]


def manner_of(channel: str) -> tuple[int, bool]:
    """QoS and retain flag with which a message on that channel is sent."""
    wanted = {"$ref": f"#/channels/{channel}"}
    operations = read("asyncapi.json")["operations"].values()
    (sent,) = (one for one in operations if one["action"] == "send" and one["channel"] == wanted)
    return sent["bindings"]["mqtt"]["qos"], sent["bindings"]["mqtt"]["retain"]


def schema_of(channel: str, content_type: str) -> str:
    """The schema file of the message of that content type on that channel; empty for one that is not JSON."""
    messages = read("asyncapi.json")["components"]["messages"]
    (message,) = (messages[name] for name in _channels()[channel][1] if messages[name]["contentType"] == content_type)
    reference = str(message["payload"].get("$ref", ""))
    return reference.removeprefix("schema/").removesuffix(".json")
