"""A child process around bash's own parser: JSON Lines `{"i", "s"}` in, `{"i", "ok", "rows"}` out."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any

import libbash


def rows_of(node: dict[str, Any], rows: list[list[str]]) -> None:
    kind, value = node["type"], node["value"]
    if kind == "simple":
        rows.append([word["word"] for word in value["words"]])
        redirects(value["redirects"], rows)
        return
    if kind in ("for", "select"):
        rows.append(["@for", value["name"]["word"], *(word["word"] for word in value["map_list"])])
    if kind == "case":
        rows.append(["@case", value["word"]["word"]])
    for name, part in value.items():
        if kind == "case" and name == "clauses":
            for clause in part:
                rows.append(["@pattern", *(word["word"] for word in clause["patterns"])])
                look_into(clause["action"], rows)
        else:
            look_into(part, rows)
    redirects(node["redirects"], rows)


def redirects(nodes: list[dict[str, Any]], rows: list[list[str]]) -> None:
    for node in nodes:
        target = node["redirectee"]
        if not isinstance(target, dict) or "filename" not in target:
            continue  # a descriptor
        if node["here_doc_eof"] is None:
            rows.append(["@redirect", target["filename"]["word"]])
        else:
            rows.append(["@document", target["filename"]["word"].rstrip("\n")])


def look_into(part: Any, rows: list[list[str]]) -> None:
    if isinstance(part, dict):
        if "type" in part and "value" in part:
            rows_of(part, rows)
        else:
            for inner in part.values():
                look_into(inner, rows)
    elif isinstance(part, list):
        for inner in part:
            look_into(inner, rows)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)  # bash prints its complaints
    os.dup2(silent, 2)
    with tempfile.NamedTemporaryFile("w+", suffix=".sh") as file:
        for line in sys.stdin:
            question = json.loads(line)
            file.seek(0)
            file.truncate()
            file.write(question["s"] + "\n")
            file.flush()
            rows: list[list[str]] = []
            try:
                for command in libbash.ast_to_json(libbash.bash_to_ast(file.name)):
                    rows_of(command, rows)
                answer = {"i": question["i"], "ok": True, "rows": rows}
            except Exception:  # noqa: BLE001 the library raises this very class for a syntax error
                answer = {"i": question["i"], "ok": False}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
