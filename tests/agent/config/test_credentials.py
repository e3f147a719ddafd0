"""Keys that are kept: where, for whom, and what is said when that is not safe."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from agent.config import credentials
from agent.config.credentials import Credentials
from agent.errors import ConfigError

KEY = "sk-canary-1c2d"


class Ring:
    """A keyring in memory."""

    def __init__(self, *, keeps: bool = True) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self._keeps = keeps

    def get_password(self, service: str, account: str) -> str | None:
        return self.kept.get((service, account))

    def set_password(self, service: str, account: str, password: str) -> None:
        if self._keeps:
            self.kept[service, account] = password

    def delete_password(self, service: str, account: str) -> None:
        del self.kept[service, account]


def test_a_key_goes_into_the_keyring_and_into_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = Ring()
    monkeypatch.setattr(credentials, "_ring", lambda: ring)
    kept = Credentials(tmp_path)
    assert kept.get("openai") is None
    assert kept.put("openai", KEY).store == "keyring"
    assert KEY.encode() not in kept.path.read_bytes()
    assert (kept.get("openai"), kept.get("other")) == (KEY, None)
    assert Credentials(tmp_path / "elsewhere").get("openai") is None
    assert kept.remove("openai")
    assert ring.kept == {}
    assert not kept.path.exists()


@pytest.mark.parametrize("ring", ["this machine has no system keyring", Ring(keeps=False)])
def test_without_a_keyring_the_file_is_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ring: Ring | str
) -> None:
    monkeypatch.setattr(credentials, "_ring", lambda: ring)
    kept = Credentials(tmp_path)
    stored = kept.put("openai", KEY)
    assert (stored.store, bool(stored.why)) == ("file", True)
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert kept.get("openai") == KEY
    assert kept.stores() == {"openai": "file"}
    assert kept.remove("openai")
    assert not kept.remove("openai")
    kept.put("openai", KEY)
    kept.path.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others") as caught:
        kept.get("openai")
    assert "chmod 600" in caught.value.help


@pytest.mark.parametrize("text", ["", "[]", '{"keys": 1}', '{"keys": {"openai": 1}}', "[" * 20_000])
def test_a_file_that_holds_no_keys_is_told(tmp_path: Path, text: str) -> None:
    kept = Credentials(tmp_path)
    kept.path.write_text(text)
    kept.path.chmod(0o600)
    with pytest.raises(ConfigError, match="holds no keys"):
        kept.get("openai")


class Troubled(Ring):
    """A back end that is locked, broken or silent."""

    def __init__(self, how: BaseException | threading.Event) -> None:
        super().__init__()
        self.how = how

    def get_password(self, service: str, account: str) -> str | None:
        if isinstance(self.how, threading.Event):
            self.how.wait(60)
            return None
        raise self.how

    def set_password(self, service: str, account: str, password: str) -> None:
        self.get_password(service, account)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (RuntimeError(f"collection is locked: {KEY}"), "RuntimeError"),
        (OSError(111, "Connection refused"), "Connection"),
        (ValueError(), "ValueError"),
        (threading.Event(), "no answer within 0.1 s"),
    ],
    ids=["locked", "no-bus", "wordless", "silent"],
)
def test_a_keyring_in_trouble_is_told_and_the_file_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: BaseException | threading.Event, says: str
) -> None:
    good = Ring()
    monkeypatch.setattr(credentials, "_ring", lambda: good)
    kept = Credentials(tmp_path)
    kept.put("openai", KEY)
    ring = credentials._Bounded(Troubled(how), 0.1)
    monkeypatch.setattr(credentials, "_ring", lambda: ring)
    for ask in (kept.get, kept.remove):
        with pytest.raises(ConfigError, match="cannot be had from the system keyring") as caught:
            ask("openai")
        assert says in str(caught.value)
        assert KEY not in str(caught.value)
        assert "unlock" in caught.value.help
    stored = kept.put("openai", KEY)
    assert stored.store == "file"
    assert stored.why
    assert KEY not in stored.why
    assert (stat.S_IMODE(kept.path.stat().st_mode), kept.get("openai")) == (0o600, KEY)
    if isinstance(how, threading.Event):
        how.set()


@pytest.mark.parametrize(
    ("back_end", "says"),
    [
        ("nowhere.at.all.Keyring", "cannot be loaded"),
        ("json.Missing", "cannot be loaded"),
        ("keyring.backends.fail.Keyring", "no system keyring"),
        ("keyring.backends.null.Keyring", "no system keyring"),
    ],
)
def test_a_back_end_that_is_set_and_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back_end: str, says: str
) -> None:
    core = pytest.importorskip("keyring.core")
    monkeypatch.setattr(core, "_keyring_backend", None)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", back_end)
    stored = Credentials(tmp_path).put("openai", KEY)
    assert stored.store == "file"
    assert says in stored.why
