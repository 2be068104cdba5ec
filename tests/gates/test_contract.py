"""docs/platform/asyncapi.json and its schema files are what the code says: `make docs` writes them."""

import json
import re

import pytest

from gateway.uplink import topics
from tests.gates.sources import ROOT
from tools import contract_asyncapi, contract_schema, platform_contract

FILES = platform_contract.files()


@pytest.mark.parametrize("name", FILES)
def test_generated_files_are_up_to_date(name: str) -> None:
    path = platform_contract.FOLDER / name
    assert path.exists(), "run make docs"
    assert path.read_text(encoding="utf-8") == FILES[name], "run make docs"


def test_no_file_of_a_message_that_is_no_more() -> None:
    assert not platform_contract.stale(), "run make docs"


def test_a_change_of_a_struct_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(contract_schema.RULES, ("State", "session"), {"minimum": 2})
    assert platform_contract.files()["schema/state.json"] != FILES["schema/state.json"]


def test_the_channels_are_the_topics_of_the_code() -> None:
    addresses = {name: channel["address"] for name, channel in contract_asyncapi.document()["channels"].items()}
    made = {
        **{leaf: topics.own_topic("{site}", "{gateway}", leaf) for leaf in ("birth", "state", "health")},
        **{era: topics.frame_topic("{site}", "{gateway}", era, "wave") for era in ("live", "hist")},
        "ack": topics.ack_topic("{site}", "{gateway}", "wave"),
        "time": topics.time_topic("{site}", "{gateway}"),
        "timeAnswer": topics.time_answer_topic("{site}", "{gateway}"),
        "dictionary": topics.dictionary_topic("{id}"),
    }
    assert {name: address.replace("{lane}", "wave") for name, address in addresses.items()} == made


def test_schema_files_refer_to_nothing_outside_their_folder() -> None:
    for name, text in FILES.items():
        for target in re.findall(r'"\$ref": "([^"#]+)', text):
            assert (platform_contract.FOLDER / name).parent.joinpath(target).is_file(), f"{name}: {target}"


def test_the_lock_of_the_validator_names_no_host() -> None:
    lock = json.loads((ROOT / "tools" / "asyncapi" / "package-lock.json").read_text(encoding="utf-8"))
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert packages["node_modules/@asyncapi/parser"]["version"]
    assert all("resolved" not in package for package in packages.values())
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
