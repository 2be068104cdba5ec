"""One target under atheris: python -m tests.fuzz.run TARGET FOLDER [libFuzzer's options]. It ends the process itself.

The drivers are imported under atheris' eyes, so that it sees which branches an input takes.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

MAX_BYTES = 6000
"""Of one input; the largest of the test data is shorter."""


def main(name: str, folder: Path, *options: str) -> None:
    """Fuzz until the options say that it is enough, or until something is found: then the process ends with 77."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["drivers", "tests.fuzz.targets"]):
        targets = importlib.import_module("tests.fuzz.targets")
        target = targets.CONTROL if name == "control" else targets.TARGETS[name]
        if target.driver:
            importlib.import_module(f"drivers.{target.driver}.driver")
    corpus = folder / "corpus"
    corpus.mkdir(parents=True)
    for number, data in enumerate(target.corpus()):
        (corpus / f"{number}").write_bytes(data[:MAX_BYTES])
    words = "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words)
    (folder / "words").write_text(words, encoding="ascii")
    common = (f"-dict={folder / 'words'}", f"-artifact_prefix={folder}/", f"-max_len={MAX_BYTES}", "-timeout=20")
    atheris.Setup([sys.argv[0], *common, *options, str(corpus)], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
