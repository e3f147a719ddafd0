"""Keys that `agent login` keeps: in the system keyring, else in a file that only the owner can read."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from agent.errors import ConfigError
from execpolicy.values import frozen

if TYPE_CHECKING:
    from typing import Protocol

    class _Ring(Protocol):
        """What is used of the package `keyring`."""

        def get_password(self, service: str, account: str) -> str | None: ...
        def set_password(self, service: str, account: str, password: str) -> None: ...
        def delete_password(self, service: str, account: str) -> None: ...


SERVICE = "policy-agent"
MOST_BYTES = 1 << 16
MOST_SECONDS = 60.0  # for the keyring, which may ask a person to unlock it
_T = TypeVar("_T")
_RING = "keyring"
_FILE = "file"


@frozen
class Stored:
    """Where a key is kept."""

    store: str  # "keyring" or "file"
    why: str = ""  # of the file: why not the keyring


class Credentials:
    """The keys of one state folder, by provider. `auth.json` says where each of them is."""

    def __init__(self, home: Path) -> None:
        self.path = home / "auth.json"
        self._account = f"{home}:"

    def get(self, provider: str) -> str | None:
        """The key, or None. Without `auth.json` nothing is looked up: the start stays fast."""
        about = self._read().get(provider)
        if about is None:
            return None
        if about.get("store") == _FILE:
            key = about.get("key")
            return key if isinstance(key, str) and key else None
        ring = _ring()
        if isinstance(ring, str):
            raise ConfigError(
                f"the key of `{provider}` is in the system keyring: {ring}", "run `agent login`"
            )
        with _told(provider):
            return ring.get_password(SERVICE, self._account + provider)

    def put(self, provider: str, key: str) -> Stored:
        """Keep `key`. In the file only where the keyring cannot be used."""
        kept = self._read()
        why = self._into_ring(provider, key)
        kept[provider] = {"store": _FILE, "key": key} if why else {"store": _RING}
        self._write(kept)
        return Stored(_FILE if why else _RING, why)

    def remove(self, provider: str) -> bool:
        """Forget the key; False when there was none."""
        kept = self._read()
        about = kept.pop(provider, None)
        if about is None:
            return False
        if about.get("store") == _RING:
            ring = _ring()
            if isinstance(ring, str):
                raise ConfigError(f"the key is in the system keyring: {ring}", "remove it there by hand")
            with _told(provider):
                if ring.get_password(SERVICE, self._account + provider) is not None:
                    ring.delete_password(SERVICE, self._account + provider)
        self._write(kept)
        return True

    def stores(self) -> dict[str, str]:
        """Provider -> where its key is kept."""
        return {provider: str(about.get("store")) for provider, about in self._read().items()}

    def _into_ring(self, provider: str, key: str) -> str:
        """Empty when it is there; else why not."""
        ring = _ring()
        if isinstance(ring, str):
            return ring
        try:
            ring.set_password(SERVICE, self._account + provider, key)
            # A keyring may take everything and keep nothing.
            if ring.get_password(SERVICE, self._account + provider) == key:
                return ""
        except Exception as error:  # noqa: BLE001 - each back end has exceptions of its own
            return (
                f"the system keyring does not take it: {str(error).replace(key, '…') or type(error).__name__}"
            )
        return "the system keyring does not keep it"

    def _read(self) -> dict[str, dict[str, object]]:
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                raw = file.read(MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise ConfigError(
                f"cannot read `{self.path}`: {error.strerror}", "run `agent login` again"
            ) from None
        if mode & 0o077:
            raise ConfigError(f"`{self.path}` can be read by others", f"run `chmod 600 {self.path}`")
        try:
            keys = json.loads(raw)["keys"]
            if isinstance(keys, dict) and all(isinstance(one, dict) for one in keys.values()):
                return keys
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        raise ConfigError(f"`{self.path}` holds no keys that can be read", "remove it and run `agent login`")

    def _write(self, keys: dict[str, dict[str, object]]) -> None:
        try:
            if not keys:
                self.path.unlink(missing_ok=True)
                return
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".auth-")  # mode 0600
            with os.fdopen(handle, "w") as file:
                json.dump({"keys": keys}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path)
        except OSError as error:
            raise ConfigError(
                f"cannot write `{self.path}`: {error.strerror}", "set AGENT_HOME to a folder you can write"
            ) from None


def _ring() -> _Ring | str:
    """The system keyring, or why there is none."""
    try:
        import keyring
        from keyring.backends import fail, null

        back_end = keyring.get_keyring()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "keyring":
            return "the package `keyring` is not installed"
        return f"the keyring that is set for this machine cannot be loaded: {error}"
    except Exception as error:  # noqa: BLE001 - it loads back ends of anybody, as files and variables name them
        return f"the system keyring cannot be loaded: {type(error).__name__}: {error}"
    if isinstance(back_end, fail.Keyring | null.Keyring):
        return "this machine has no system keyring"
    return _Bounded(back_end)


class _Bounded:
    """A keyring that is waited for only so long: one that is locked may ask on a screen that nobody looks at."""

    def __init__(self, ring: _Ring, seconds: float = MOST_SECONDS) -> None:
        self._ring = ring
        self._seconds = seconds

    def get_password(self, service: str, account: str) -> str | None:
        return self._waited(lambda: self._ring.get_password(service, account))

    def set_password(self, service: str, account: str, password: str) -> None:
        self._waited(lambda: self._ring.set_password(service, account, password))

    def delete_password(self, service: str, account: str) -> None:
        self._waited(lambda: self._ring.delete_password(service, account))

    def _waited(self, call: Callable[[], _T]) -> _T:
        import threading

        results: list[_T] = []
        errors: list[Exception] = []

        def work() -> None:
            try:
                results.append(call())
            except Exception as error:  # noqa: BLE001 - raised again where it is waited for
                errors.append(error)

        # Of a thread that the interpreter does not wait for at its end, unlike those of a pool.
        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        worker.join(self._seconds)
        if errors:
            raise errors[0]
        if not results:
            raise TimeoutError(f"no answer within {self._seconds:g} s")
        return results[0]


@contextlib.contextmanager
def _told(provider: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - each back end has exceptions of its own
        why = str(error) if isinstance(error, TimeoutError) else type(error).__name__
        raise ConfigError(
            f"the key of `{provider}` cannot be had from the system keyring: {why}",
            "unlock the keyring, or set the variable that holds the key (OPENAI_API_KEY)",
        ) from None
