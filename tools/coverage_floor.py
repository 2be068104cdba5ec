"""Fail where a package's coverage lies under its floor: `python -m tools.coverage_floor REPORT.json drivers=95 …`."""

import json
import sys
from pathlib import Path
from typing import Any


def share(files: dict[str, Any], package: str) -> float:
    """Percent of a package's lines and branches that were run; 0 where it has no file in the report."""
    covered = total = 0
    for path, file in files.items():
        if Path(path).parts[0] == package:
            summary = file["summary"]
            covered += summary["covered_lines"] + summary["covered_branches"]
            total += summary["num_statements"] + summary["num_branches"]
    return 100 * covered / total if total else 0.0


def main(report: str, floors: list[str]) -> int:
    """1 where any floor is missed; prints every figure, and the worst files of a package that misses."""
    files = json.loads(Path(report).read_text(encoding="utf-8"))["files"]
    missed = False
    for floor in floors:
        package, _equals, percent = floor.partition("=")
        reached = share(files, package)
        sys.stdout.write(f"coverage of {package}, lines and branches: {reached:.1f} % (floor {percent} %)\n")
        if reached < float(percent):
            missed = True
            sys.stdout.writelines(_worst(files, package))
    return int(missed)


def _worst(files: dict[str, Any], package: str) -> list[str]:
    gaps = [
        (summary["missing_lines"] + summary["missing_branches"], path)
        for path, file in files.items()
        if Path(path).parts[0] == package and (summary := file["summary"])
    ]
    return [f"  {path}: {gap} lines and branches not run\n" for gap, path in sorted(gaps, reverse=True)[:10] if gap]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
