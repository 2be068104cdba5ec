"""Write what is generated under docs/platform: `python -m tools.platform_contract`.

asyncapi.json and schema/ from the structs of the contract, and in the pages the scripts and the worked examples.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tools.contract_asyncapi import document
from tools.contract_pages import pages
from tools.contract_schema import DOCUMENTS, schema_of

FOLDER = Path(__file__).parents[1] / "docs" / "platform"


def files() -> dict[str, str]:
    """Every file with generated parts by its path under docs/platform, as it should be."""
    made = {f"schema/{one.name}.json": schema_of(one) for one in DOCUMENTS}
    texts = {name: _text(content) for name, content in {"asyncapi.json": document(), **made}.items()}
    return texts | pages(FOLDER)


def stale() -> list[Path]:
    """Schema files of messages that are no more."""
    return sorted(path for path in (FOLDER / "schema").glob("*.json") if f"schema/{path.name}" not in files())


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Rewrite what differs; names each file it wrote or removed."""
    (FOLDER / "schema").mkdir(exist_ok=True)
    for name, text in files().items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"docs/platform/{name}\n")
    for path in stale():
        path.unlink()
        sys.stdout.write(f"docs/platform/schema/{path.name} is gone\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
