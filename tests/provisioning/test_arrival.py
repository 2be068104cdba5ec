"""`jisr consume --import`, as it is typed."""

import json
import subprocess
import sys
from typing import Any

from tests.provisioning.ward import Ward, said, spoil


def test_what_an_import_says_of_a_file_it_refuses(ward: Ward, capsys: Any) -> None:
    ward.export()
    spoil(ward.files[0], 2000)
    for lang, word in (("en", "it was edited or damaged"), ("fr", "modifié ou abîmé")):
        capsys.readouterr()
        assert ward.take("--lang", lang) == 1
        assert word in capsys.readouterr().err
    assert ward.take("--json") == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(one["ok"], one["reason"]) for one in told["files"]] == [(False, "signature")]
    assert told["rows"] == 0


def test_what_is_asked_wrongly(ward: Ward, capsys: Any) -> None:
    words = ["consume", "--store", str(ward.store), "--ca", str(ward.authority.ca)]
    code, _, err = said(capsys, *words)
    assert (code, "--broker, --certificate, --key, --ack-key" in err) == (2, True)
    code, _, err = said(capsys, *words, "--import", str(ward.stick), "--ack-out", "x")
    assert (code, "--ack-key" in err) == (2, True)
    for option, file in (("--key", ward.authority.ca), ("--crl", ward.authority.ca), ("--ack-key", ward.config)):
        code, _, err = said(capsys, *words, "--import", str(ward.stick), option, str(file))
        assert (code, str(file) in err) == (2, True)
    assert not ward.store.exists()
    code, out, _ = said(capsys, *words, "--import", str(ward.stick))
    assert (code, "No courier file" in out) == (1, True)


def test_a_word_that_cannot_be_written(ward: Ward, capsys: Any) -> None:
    ward.export()
    assert ward.take("--ack-out", str(ward.folder / "nowhere" / "word.ack")) == 1
    assert "What was imported is stored" in capsys.readouterr().err
    assert len(ward.rows()) == 30


def test_an_import_killed_between_two_files_goes_on(ward: Ward, monkeypatch: Any) -> None:
    monkeypatch.setattr("provisioning.export.CONTENT_BYTES", 1500)
    monkeypatch.setattr("provisioning.export.JOINED_BYTES", 600)
    ward.export()
    assert len(ward.files) > 3
    words = [f"--store={ward.store}", f"--ca={ward.authority.ca}", f"--key={ward.courier.key}"]
    command = [sys.executable, "-m", "provisioning.command", "consume", *words, "--import", str(ward.stick)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as part:
        assert part.stdout
        assert part.stdout.readline()
        part.kill()
    assert 0 < len(ward.rows()) <= 30
    assert ward.take() == 0
    assert len(ward.rows()) == len(set(ward.rows())) == 30
