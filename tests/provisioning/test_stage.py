"""A box without the extra `screen` says so, and works without a picture."""

import builtins
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config, GatewayConfig, SpoolConfig, TlsFiles, UplinkConfig
from provisioning.attach import Seen
from provisioning.stage import NoPicture, Stage, drawn

CONFIG = Config(
    gateway=GatewayConfig(id="gw", site="site"),
    uplink=UplinkConfig(broker="mqtts://localhost:1", tls=TlsFiles(ca="", certificate="", key=""), ack="broker"),
    spool=SpoolConfig(path="spool"),
)


def test_without_rich(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == "rich":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    for name in [each for each in sys.modules if each.split(".")[0] == "rich" or each == "provisioning.picture"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NoPicture, match="jisr\\[screen\\]"), drawn(CONFIG):
        pass
    Stage().take(Seen())
    Stage().note("nothing is shown")


def test_with_rich() -> None:
    with drawn(CONFIG) as stage:
        stage.note("a note")
        stage.take(Seen(status={"devices": {}, "depth": {}, "committed": {}, "uplink": {}}))
