"""Keys that are kept: where, for whom, and what is said when that is not safe."""

from __future__ import annotations

import stat
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
