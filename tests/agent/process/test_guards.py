"""Folders that stand while a run lasts, whoever else wants them."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from agent.process.guards import standing


def test_made_and_removed(tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    with standing((one, two)):
        assert os.path.isdir(one)
        assert os.path.isdir(two)
        with standing((one,)):
            pass
        assert os.path.isdir(one), "the first run still relies on it"
    assert list(tmp_path.iterdir()) == []


def test_a_guard_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "commondir"
    with standing((str(path),)):
        assert path.read_bytes() == b".\n"
        with standing((str(path),)):
            pass
        assert path.exists(), "the first run still relies on it"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "mode"), [("../x\n", 0o444), (".\n", 0o644)])
def test_a_file_of_somebody_stays(tmp_path: Path, text: str, mode: int) -> None:
    path = tmp_path / "commondir"
    path.write_text(text)
    path.chmod(mode)
    with standing((str(path),)):
        pass
    assert path.read_text() == text


def test_what_somebody_put_there_stays(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    with standing((str(tmp_path / "theirs"), str(tmp_path / "ours"))):
        (tmp_path / "theirs/file").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theirs"]


def test_an_empty_folder_of_somebody_stays(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    with standing((str(tmp_path / "theirs"),)):
        pass
    assert (tmp_path / "theirs").is_dir()


def test_one_that_cannot_be_had_does_not_hang_and_releases_the_others(tmp_path: Path) -> None:
    (tmp_path / "held").mkdir()
    holder = os.open(tmp_path / "held", os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    started = time.monotonic()
    with (
        pytest.raises(OSError, match="another program holds it"),
        standing((str(tmp_path / "a"), str(tmp_path / "held"))),
    ):
        pytest.fail("not reached")
    os.close(holder)
    assert time.monotonic() - started < 5
    assert not (tmp_path / "a").exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(OSError), standing((str(tmp_path / "link"),)):
        pytest.fail("not reached")
    assert (tmp_path / "there").is_dir()
