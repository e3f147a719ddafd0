"""Profiles are found, and their quick reading is a real one."""

from __future__ import annotations

import pytest
import yaml

from execpolicy.bundle.shipped import folder, profile_files, profiles


def test_the_shipped_profiles() -> None:
    assert profiles() == ("ci", "read-only", "standard", "strict")


@pytest.mark.parametrize("name", profiles())
def test_a_profile_is_read_as_it_is_written(name: str) -> None:
    place = folder()
    assert place is not None
    written = yaml.safe_load((place / "profiles" / f"{name}.yaml").read_text(encoding="utf-8"))
    files = profile_files(name)
    assert files is not None
    assert [path.relative_to(place).as_posix() for path in files] == written["files"]
    assert all(path.is_file() for path in files)


@pytest.mark.parametrize("name", ["", "../profiles/ci", "ci.yaml", "none"])
def test_no_other_name_is_a_profile(name: str) -> None:
    assert profile_files(name) is None


@pytest.mark.parametrize("name", ["standard", "strict", "read-only"])
def test_what_a_profile_is_silent_about_is_left_to_others(name: str) -> None:
    # An explicit default would bind every lower layer: no approval and no rule of a user could open it.
    for path in profile_files(name) or ():
        assert "\ndefaults(" not in path.read_text(encoding="utf-8")
