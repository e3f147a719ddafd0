"""The bundle of a rule file is what the manifest beside it says, read as a YAML reader reads it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from agent.app.bundles import bundles_of
from execpolicy.bundle.shipped import folder

SHIPPED = folder()
MANIFESTS = sorted(SHIPPED.glob("*/manifest.yaml")) if SHIPPED else []


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_shipped_manifests_are_read_as_yaml_reads_them(path: Path) -> None:
    said = yaml.safe_load(path.read_text())
    files = [str(path.parent / name) for name in said["files"]]
    assert bundles_of(files) == dict.fromkeys(files, (said["name"], str(said["version"])))


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("name: base\nversion: '1.2'\nfiles: [a.rules]\n", ("base", "1.2"), id="in-a-row"),
        pytest.param("name: base # ours\nfiles:\n  - b.rules\n  - a.rules\n", ("base", ""), id="in-lines"),
        pytest.param("name: base\nversion: 1\nfiles: [b.rules]\n", ("", ""), id="does-not-list-it"),
        pytest.param("version: 1\nfiles: [a.rules]\n", ("", ""), id="has-no-name"),
        pytest.param("deeper:\n  name: base\nfiles: [a.rules]\n", ("", ""), id="name-of-another-thing"),
        pytest.param("name: \udcff", ("", ""), id="no-text"),
        pytest.param("", ("", ""), id="empty"),
    ],
)
def test_a_manifest_names_the_bundle_of_its_files(tmp_path: Path, text: str, want: tuple[str, str]) -> None:
    (tmp_path / "manifest.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    path = str(tmp_path / "a.rules")
    assert bundles_of([path]) == {path: want}


def test_no_manifest_and_no_file_are_no_bundle(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.yaml")
    paths = [str(tmp_path / "a.rules"), str(tmp_path / "none" / "a.rules"), "a.rules", ""]
    assert bundles_of(paths) == dict.fromkeys(paths, ("", ""))
