"""Writes execpolicy/shell/catalogue.json from catalogue.yaml; --check only compares."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml

FOLDER = Path(__file__).resolve().parent.parent / "execpolicy" / "shell"


def built() -> str:
    """The text that catalogue.json has to have."""
    data: dict[str, object] = {}
    for section in yaml.safe_load((FOLDER / "catalogue.yaml").read_text(encoding="utf-8")).values():
        for names, raw in section.items():
            if names in data:
                raise SystemExit(f"catalogue.yaml: `{names}` stands there twice")
            data[names] = raw
    return json.dumps(data, separators=(",", ":")) + "\n"


def main() -> int:
    target = FOLDER / "catalogue.json"
    if "--check" in sys.argv[1:]:
        return 0 if target.read_text(encoding="utf-8") == built() else 1
    target.write_text(built(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
