"""Keys of markers: one a quarter, private, kept; equal secrets are equal under one key, and only then."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest

from compliance.codec import from_json, to_json
from compliance.errors import AuditError
from compliance.events import Decided, LookedUp
from compliance.mask_keys import NAME, current_key, read_keys, rotate
from compliance.redact import Redactor
from execpolicy.decision import Decision, Verdict

MAY = datetime.date(2026, 5, 2)
JULY = datetime.date(2026, 7, 1)


def test_a_quarter_has_one_key_and_the_old_ones_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    first = current_key(folder, MAY)
    assert current_key(folder, datetime.date(2026, 6, 30)) == first
    second = current_key(folder, JULY)
    third = rotate(folder, JULY)
    assert current_key(folder, JULY) == third
    assert read_keys(folder) == [first, second, third]
    assert [key.id[:7] for key in (first, second, third)] == ["2026q2-", "2026q3-", "2026q3-"]
    assert (folder / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spoil", ["open", "link", "broken", "folder", "pipe"])
def test_a_key_that_cannot_be_trusted_is_not_used(tmp_path: Path, spoil: str) -> None:
    path = tmp_path / NAME
    match spoil:
        case "open":
            current_key(tmp_path, MAY)
            path.chmod(0o644)
        case "link":
            (tmp_path / "other").write_text("")
            path.symlink_to(tmp_path / "other")
        case "broken":
            path.write_text("2026q2-aa 00\n")
            path.chmod(0o600)
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path, 0o600)
    with pytest.raises(AuditError) as caught:
        current_key(tmp_path, MAY)
    assert caught.value.help


def test_a_record_names_the_key_and_keeps_masked_commands_comparable(tmp_path: Path) -> None:
    key = current_key(tmp_path, MAY)

    def recorded(subject: str) -> Decided:
        event = Decided("s", "c", "exec_command", subject, "/", Verdict(decision=Decision.ASK))
        clean = Redactor(key=key).event(event)
        assert from_json(to_json(clean)) == clean
        assert isinstance(clean, Decided)
        return clean

    one, same, other = map(recorded, ("a --token hunter2x", "a --token hunter2x", "a --token hunter3x"))
    assert one == same
    assert (one.masked, one.mask_key) == (("/subject",), key.id)
    assert one.args_hmac == key.digest("a --token hunter2x") != other.args_hmac
    assert one.subject != other.subject
    assert recorded("ls").args_hmac == recorded("ls").mask_key == ""


def test_a_secret_variable_that_was_looked_up_is_masked() -> None:
    looked = (LookedUp("env", "DEPLOY_TOKEN", "", "abcabc"), LookedUp("env", "HOME", "", "/home/ann"))
    event = Decided("s", "c", "t", "ls", "/", Verdict(decision=Decision.ASK), lookups=looked)
    clean = Redactor().event(event)
    assert isinstance(clean, Decided)
    assert [one.answer for one in clean.lookups] == ["[masked:value]", "/home/ann"]
    assert clean.masked == ("/lookups/0/answer",)
