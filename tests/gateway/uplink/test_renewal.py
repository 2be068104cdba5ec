"""Replaced files are noticed once they are whole, at rest and ours."""

import shutil
from pathlib import Path

import pytest

from gateway.uplink.identity import TlsFiles
from gateway.uplink.renewal import Renewal
from simulators.central.lab_ca import CLIENT, LabAuthority, Pair

GATEWAY = "gw-test"


class Box:
    """A box's files, and what replaces them."""

    def __init__(self, folder: Path) -> None:
        self.authority = LabAuthority(folder / "ca")
        self.folder, self.pair, self.issued = folder, Pair(folder / "box.pem", folder / "box.key"), 0
        self.ack_key = folder / "ack.key"
        self.ack_key.write_text("00" * 32, encoding="ascii")
        self.put(self.issue())
        files = TlsFiles(str(self.authority.ca), str(self.pair.certificate), str(self.pair.key))
        self.renewal = Renewal(files, str(self.ack_key), GATEWAY)

    def issue(self, name: str = GATEWAY) -> Pair:
        self.issued += 1
        return self.authority.issue(f"new-{self.issued}", name, purposes=CLIENT)

    def put(self, new: Pair, *, with_key: bool = True) -> None:
        for source, target in list(zip(new, self.pair, strict=True))[: 2 if with_key else 1]:
            beside = target.with_suffix(".new")
            shutil.copy(source, beside)
            beside.replace(target)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_files_in_use_are_not_new(box: Box) -> None:
    assert [box.renewal.is_due() for _ in range(3)] == [False] * 3


def test_a_new_pair_is_due_at_the_second_look_and_until_it_is_used(box: Box) -> None:
    box.put(box.issue())
    assert [box.renewal.is_due() for _ in range(3)] == [False, True, True]
    box.renewal.note()
    assert not box.renewal.is_due()


def test_half_a_pair_waits_for_the_other_half(box: Box) -> None:
    new = box.issue()
    box.put(new, with_key=False)
    assert [box.renewal.is_due() for _ in range(3)] == [False] * 3
    box.put(new)
    assert [box.renewal.is_due() for _ in range(2)] == [False, True]


def test_a_certificate_of_another_box_is_not_due(box: Box) -> None:
    box.put(box.issue("gw-other"))
    assert [box.renewal.is_due() for _ in range(3)] == [False] * 3


@pytest.mark.parametrize("name", ["box.key", "ack.key"])
def test_a_file_that_is_gone_is_not_due(box: Box, name: str) -> None:
    (box.folder / name).unlink()
    assert [box.renewal.is_due() for _ in range(3)] == [False] * 3


def test_a_new_acknowledgement_key_is_due(box: Box) -> None:
    box.ack_key.write_text("11" * 32 + "\n", encoding="ascii")
    assert [box.renewal.is_due() for _ in range(2)] == [False, True]


def test_a_damaged_acknowledgement_key_is_not_due(box: Box) -> None:
    box.ack_key.write_text("11", encoding="ascii")
    assert [box.renewal.is_due() for _ in range(3)] == [False] * 3
