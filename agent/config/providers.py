"""Which model service is asked, and with which key: the chosen provider's settings and secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.config.model import CODEX_KEY_VARIABLE, DEFAULT_KEY_VARIABLE, DEFAULT_PROVIDER
from agent.config.tables import Entry
from agent.config.values import Texts
from agent.errors import ConfigError

# Model services of this machine that need no entry, and what each calls the open model.
LOCAL_MODELS = {"ollama": "gpt-oss:20b", "lmstudio": "openai/gpt-oss-20b"}
_LOCAL = {"ollama": "http://localhost:11434/v1", "lmstudio": "http://localhost:1234/v1"}
LEAST_SECRET = 8  # characters
_TAKEN = ("base_url", "env_key", "request_max_retries", "stream_max_retries", "stream_idle_seconds")


@dataclass(frozen=True, slots=True)
class Key:
    """The key of the model service, and where it was found."""

    value: str | None
    origin: str
    variable: str


def provider_name(entries: Mapping[str, Entry]) -> str:
    chosen = entries.get("provider")
    return str(chosen.value) if chosen is not None else DEFAULT_PROVIDER


def choose_provider(
    entries: dict[str, Entry], providers: Mapping[str, Mapping[str, Entry]]
) -> Mapping[str, Entry]:
    """The chosen provider; what it says about itself is put into `entries`, over what is said in general."""
    chosen = entries.get("provider")
    name = provider_name(entries)
    about = providers.get(name)
    if about is None and name in _LOCAL:
        about = {"base_url": Entry(_LOCAL[name], "default")}
    if about is None:
        if name == DEFAULT_PROVIDER or chosen is None:
            return {}
        known = ", ".join(dict.fromkeys((DEFAULT_PROVIDER, *providers, *_LOCAL)))
        raise ConfigError(f"no model provider `{name}` ({chosen.origin})", f"known are: {known}")
    if name != DEFAULT_PROVIDER and "base_url" not in about:
        raise ConfigError(f"model provider `{name}` has no address", f"set `model_providers.{name}.base_url`")
    for field in _TAKEN:
        if field in about:
            entries[field] = about[field]
    return about


def find_key(
    entries: Mapping[str, Entry],
    about: Mapping[str, Entry],
    environ: Mapping[str, str],
    stored: Callable[[], str | None],
) -> Key:
    """The key in the environment, else the stored one. A provider gets no key that is not meant for it."""
    if "env_key" in about:
        names: tuple[str, ...] = (str(about["env_key"].value),)
    elif _is_own(entries, about):
        named = str(entries["env_key"].value) if "env_key" in entries else DEFAULT_KEY_VARIABLE
        names = (named,) if named != DEFAULT_KEY_VARIABLE else (CODEX_KEY_VARIABLE, DEFAULT_KEY_VARIABLE)
    else:
        return Key(None, "default", "")
    for one in names:
        if value := environ.get(one):
            if not value.isprintable() or not value.isascii() or " " in value:
                raise ConfigError(
                    f"the key in `{one}` holds a space, a line end or another character that no key has",
                    "set it again",
                )
            return Key(value, f"environment {one}", one)
    if kept := stored():  # asked for last: a keyring may be slow, and ask a person to unlock it
        return Key(kept, "agent login", names[-1])
    name = provider_name(entries)
    if "env_key" in about and name != DEFAULT_PROVIDER:
        told = about.get("env_key_instructions")
        raise ConfigError(
            f"the key of model provider `{name}` is missing: `{names[0]}` is not set",
            str(told.value) if told is not None else f"set `{names[0]}`, or run `agent login`",
        )
    return Key(None, "default", names[-1])


def _is_own(entries: Mapping[str, Entry], about: Mapping[str, Entry]) -> bool:
    """OpenAI, or a provider that is given OpenAI's key by the word of the user."""
    if provider_name(entries) == DEFAULT_PROVIDER:
        return True
    auth = about.get("openai_auth")
    return auth is not None and auth.value is True


def headers_of(about: Mapping[str, Entry], environ: Mapping[str, str]) -> tuple[Texts, tuple[str, ...]]:
    """Headers of each request, and those of their values that are secret.

    A short value is no secret: it would stand in half of all texts, and all of those would be held back.
    """
    fixed = _texts(about.get("headers"))
    found = tuple(
        (name, environ[variable])
        for name, variable in _texts(about.get("env_headers"))
        if environ.get(variable)
    )
    for name, value in found:
        if not value.isprintable():
            raise ConfigError(
                f"the value of header `{name}` holds a line end or a control character", "set it again"
            )
    return (*fixed, *found), tuple(value for _, value in found if len(value) >= LEAST_SECRET)


def _texts(entry: Entry | None) -> Texts:
    value = entry.value if entry is not None else ()
    return tuple(pair for pair in value if isinstance(pair, tuple)) if isinstance(value, tuple) else ()
