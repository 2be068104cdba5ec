"""The AsyncAPI 3 document of the contract: channels, messages, and what box and platform each do with them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from drivers.observation import Lane, Numeric, Vendor, to_json
from gateway.uplink import mqtt, schema, topics
from gateway.uplink.envelope import COMPACT_TYPE, FRAME_TYPE
from gateway.uplink.time import TimeRequest, sign_time

Json = dict[str, Any]
Role = Literal["box", "platform"]

VERSION = "1.0.0"
"""Of the document; the second and third figure rise with what is only added. The first is that of `jisr/v1`."""
MQTT = {"bindingVersion": "0.2.0"}
KEY = bytes(range(32))
"""The key of the examples: 000102…1f. Every other one is random."""
SITE, GATEWAY, SPOOL = "chu-rabat", "gw-rabat-017", "9f0c1d2e3a4b5c6d"
DICTIONARY_TYPE = "application/vnd.jisr.dictionary"

ACK_LINES = ["jisr-ack-1", "<site>", "<gateway>", "<lane>", "<spool>", "<epoch>", "<upto>", "<holes>"]
TIME_LINES = ["jisr-time-1", "<site>", "<gateway>", "<nonce>", "<utc>"]

ABOUT = """\
What a Jisr box publishes about the medical devices beside it, and what it waits for. MQTT 5 over mutual TLS, QoS 1.

Operations are given for both ends: those tagged `box` are done by the box, those tagged `platform` by whoever
consumes its data. README.md beside this file says in which order a consumer does what, and why.
Unknown fields are to be passed over. Numbers are decimals: keep their digits.
"""


class Channel(NamedTuple):
    """One kind of topic, who publishes on it, and what."""

    name: str
    address: str
    sender: Role
    messages: Sequence[str]
    retain: bool
    about: str
    qos: int = 1


def _topic(rest: str) -> str:
    return f"{topics.ROOT}/{{site}}/{{gateway}}/{rest}"


CHANNELS = (
    Channel("birth", _topic("birth"), "box", ["birth"], True, "Who the box is; at each connection."),
    Channel("state", _topic("state"), "box", ["state"], True, "On line, off line; `offline` is also the last will."),
    Channel("live", _topic("live/{lane}"), "box", ["frame", "compactFrame"], False, "Stored while connected."),
    Channel("hist", _topic("hist/{lane}"), "box", ["frame", "compactFrame"], False, "Back-fill, oldest first."),
    Channel("health", _topic("health"), "box", ["health"], False, "How the box fares; each minute."),
    Channel("ack", _topic("ack/{lane}"), "platform", ["ack"], False, "What the platform has: it frees disk space."),
    Channel("time", _topic("time"), "box", ["time"], False, "A box without a trusted clock asks for the time."),
    Channel("timeAnswer", _topic("ack/time"), "platform", ["timeAnswer"], False, "The time, under a MAC.", 0),
    Channel(
        "dictionary",
        f"{topics.ROOT}/meta/dict/{{id}}",
        "platform",
        ["dictionary"],
        True,
        "Every compression dictionary the platform can read: a box uses one only after it saw it here.",
    ),
)
PARAMETERS: dict[str, Json] = {
    "site": {"description": "The site's id: 1 to 64 of A-Z a-z 0-9 . _ - but not `meta`."},
    "gateway": {"description": "The box's id: the same letters; the common name of its certificate."},
    "lane": {"description": "By rank, highest first.", "enum": list(get_args(Lane))},
    "id": {"description": "First four bytes of the SHA-256 of the dictionary, as eight hexadecimal digits."},
}


def document() -> Json:
    """The whole document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Jisr uplink",
            "version": VERSION,
            "description": ABOUT,
            "license": {"name": "Apache-2.0"},
            "tags": [
                {"name": "box", "description": "Done by the box."},
                {"name": "platform", "description": "Done by the platform."},
            ],
        },
        "defaultContentType": schema.JSON_TYPE,
        "servers": {"broker": _server()},
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {name: made for channel in CHANNELS for name, made in _operations(channel).items()},
        "components": {
            "messages": _messages(),
            "parameters": PARAMETERS,
            "securitySchemes": {
                "certificate": {
                    "type": "X509",
                    "description": "Client certificate of the programme's CA, extended key usage clientAuth. "
                    "Its common name is user name and client id.",
                }
            },
        },
    }


def _server() -> Json:
    return {
        "host": "platform.example:8883",
        "protocol": "secure-mqtt",
        "protocolVersion": "5.0",
        "description": "TLS 1.2 or 1.3 with client certificates. The bindings are those of a box's connection.",
        "security": [{"$ref": "#/components/securitySchemes/certificate"}],
        "bindings": {
            "mqtt": {
                "clientId": "{gateway}",
                "cleanSession": False,
                "lastWill": {
                    "topic": _topic("state"),
                    "qos": 1,
                    "retain": True,
                    "message": '{"state":"offline","session":7000001,"v":1}',
                },
                "keepAlive": mqtt.KEEPALIVE_S,
                "sessionExpiryInterval": mqtt.SESSION_EXPIRY_S,
                "maximumPacketSize": mqtt.INCOMING_LIMIT_BYTES,
                **MQTT,
            }
        },
    }


def _channel(channel: Channel) -> Json:
    names = [name for name in PARAMETERS if f"{{{name}}}" in channel.address]
    return {
        "address": channel.address,
        "description": channel.about + (" Retained." if channel.retain else ""),
        "servers": [{"$ref": "#/servers/broker"}],
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in names},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in channel.messages},
    }


def _operations(channel: Channel) -> dict[str, Json]:
    """Two for each channel: the sender's and the other end's."""
    made: dict[str, Json] = {}
    for role in get_args(Role):
        is_sender = role == channel.sender
        made[f"{role}.{channel.name}"] = {
            "action": "send" if is_sender else "receive",
            "channel": {"$ref": f"#/channels/{channel.name}"},
            "summary": f"The {role} {'publishes' if is_sender else 'subscribes to'} this.",
            "tags": [{"name": role}],
            "bindings": {"mqtt": {"qos": channel.qos, **({"retain": channel.retain} if is_sender else {}), **MQTT}},
            "messages": [{"$ref": f"#/channels/{channel.name}/messages/{name}"} for name in channel.messages],
        }
    if channel.name == "time":
        made["box.time"]["reply"] = {"channel": {"$ref": "#/channels/timeAnswer"}}
    return made


def _messages() -> dict[str, Json]:
    return {
        "birth": _json("birth", "Who the box is", examples()["birth"]),
        "state": _json("state", "On line or off line", examples()["state"]),
        "frame": _json("frame", "Observations of one lane, readable", examples()["frame"], FRAME_TYPE),
        "compactFrame": _binary(
            "compactFrame",
            COMPACT_TYPE,
            "The same frame in fewer bytes: begins with the letters JC where the readable one begins with {.",
        ),
        "health": _json("health", "Counters, disk, link, clock", examples()["health"]),
        "ack": _json("ack", "What the platform has", examples()["ack"]) | _signed(ACK_LINES),
        "time": _json("time", "What time is it?", examples()["time"]),
        "timeAnswer": _json("time-answer", "It is this time", examples()["time-answer"]) | _signed(TIME_LINES),
        "dictionary": _binary("dictionary", DICTIONARY_TYPE, "A zstd dictionary, as it is."),
    }


def _json(name: str, summary: str, example: Any, content_type: str = schema.JSON_TYPE) -> Json:
    return {
        "name": name,
        "summary": summary,
        "contentType": content_type,
        "payload": {"$ref": f"schema/{name}.json"},
        "bindings": {"mqtt": {"contentType": content_type, **MQTT}},
        "examples": [{"name": name, "payload": example}],
    }


def _binary(name: str, content_type: str, summary: str) -> Json:
    return {
        "name": name,
        "summary": summary,
        "contentType": content_type,
        "payload": {"type": "string", "format": "binary"},
        "bindings": {"mqtt": {"contentType": content_type, **MQTT}},
    }


def _signed(lines: list[str]) -> Json:
    """How the MAC in a message of the platform is made."""
    return {
        "description": "`mac` is HMAC-SHA256 in lower-case hexadecimal, with the 32-byte key that the boxes and the "
        "platform have and the broker does not, over the lines of x-jisr-mac joined by one line feed each.",
        "x-jisr-mac": {"algorithm": "HMAC-SHA256", "keyBytes": schema.KEY_BYTES, "lines": lines, "separator": "\n"},
    }


def examples() -> dict[str, Any]:
    """One good message of each kind, made by the code that makes and reads the real ones."""
    seen = Numeric(
        metric="MDC_PULS_OXIM_SAT_O2",
        code=150456,
        vendor=Vendor("SPO2", "097%"),
        validity="valid",
        device="rea-lit4-spo2",
        at="2026-11-24T09:15:02.120Z",
        value=Decimal("97.0"),
        unit="%",
        category="measurement",
    )
    frame = schema.FrameEnvelope(
        GATEWAY, SITE, SPOOL, 7, "numeric", 48212, 1, msgspec.Raw(b"[" + to_json(seen) + b"]")
    )
    device = schema.DeviceBirth("rea-lit4-spo2", "masimo_ascii/1", place="REA/lit-4", evidence="bench")
    birth = schema.Birth(
        GATEWAY, SITE, 7_000_001, SPOOL, 7, software="jisr 0.1.0", language="fr", at=seen.at, devices=(device,)
    )
    link = schema.DeviceLink("connected", observations=48212)
    health = schema.Health(GATEWAY, 7_000_001, 7, seen.at, 3600.5, devices={"rea-lit4-spo2": link})
    ack = schema.sign_ack(
        KEY, SITE, GATEWAY, "numeric", spool=SPOOL, epoch=7, upto=48212, holes=[(47000, 47010), (48000, 48000)]
    )
    nonce = "00112233445566778899aabbccddeeff"
    messages: dict[str, msgspec.Struct] = {
        "birth": birth,
        "state": schema.State("online", 7_000_001),
        "frame": frame,
        "health": health,
        "ack": ack,
        "ack-without-holes": schema.sign_ack(KEY, SITE, GATEWAY, "numeric", spool=SPOOL, epoch=7, upto=48212),
        "time": TimeRequest(nonce),
        "time-answer": sign_time(KEY, SITE, GATEWAY, nonce, 1_795_511_702.125),
    }
    return {name: msgspec.json.decode(schema.encode(message)) for name, message in messages.items()}
