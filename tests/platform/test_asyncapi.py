"""docs/platform/asyncapi.json before the AsyncAPI project's own parser, which tools/setup.sh fetches."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gates.sources import ROOT
from tests.platform.contract import DOCS

MODULES = ROOT / ".venv" / "asyncapi" / "node_modules"
WARNING = 1


@pytest.fixture
def validate() -> Callable[[Path], list[dict[str, Any]]]:
    node = shutil.which("node")
    if node is None or not MODULES.with_name(".jisr").exists():
        why = "the AsyncAPI validator is not there: make test fetches it"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)

    def judge(document: Path) -> list[dict[str, Any]]:
        """What is wrong, warnings included; advice left out. The exit code says whether there is an error."""
        command = [node, str(ROOT / "tools" / "asyncapi" / "validate.js"), str(document)]
        environment = {"NODE_PATH": str(MODULES), "PATH": os.environ["PATH"]}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert ended.stderr == ""
        found = [one for one in json.loads(ended.stdout) if one["severity"] <= WARNING]
        assert ended.returncode == (1 if any(one["severity"] < WARNING for one in found) else 0)
        return found

    return judge


def test_the_document_is_valid(validate: Callable[[Path], list[dict[str, Any]]]) -> None:
    assert validate(DOCS / "asyncapi.json") == []


@pytest.mark.parametrize(
    ("name", "old", "new", "where"),
    [
        ("asyncapi.json", '"action": "send"', '"action": "speak"', "action"),
        ("asyncapi.json", "schema/ack.json", "schema/nothing.json", "payload"),
        ("asyncapi.json", "{gateway}/birth", "{gateway}/{mood}/birth", "parameters"),
        ("asyncapi.json", "#/channels/ack/messages/ack", "#/channels/ack/messages/nack", "operations"),
        ("asyncapi.json", '"qos": 1', '"qos": 3', "qos"),
        ("schema/observation.json", '"type": "integer"', '"type": "whole"', ""),
        ("schema/observation.json", "#/$defs/Vendor", "#/$defs/Vendors", ""),
    ],
)
def test_a_broken_one_is_not(
    name: str, old: str, new: str, where: str, tmp_path: Path, validate: Callable[[Path], list[dict[str, Any]]]
) -> None:
    shutil.copytree(DOCS, tmp_path / "docs")
    broken = tmp_path / "docs" / name
    text = broken.read_text(encoding="utf-8")
    assert old in text
    broken.write_text(text.replace(old, new), encoding="utf-8")
    found = validate(tmp_path / "docs" / "asyncapi.json")
    assert any(one["severity"] == 0 and where in one["path"] for one in found), found
