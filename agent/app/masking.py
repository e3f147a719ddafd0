"""What is not shown of a session: the redactor of its record, its frontends and its exports."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agent.app.policy import load
from agent.config.load import Flags, load_settings
from agent.config.model import Settings
from agent.protocol.items import JsonObject
from compliance.mask_keys import current_key
from compliance.redact import MaskKey, Redactor
from compliance.secrets import secret_values
from execpolicy.bundle.load import load_policy
from execpolicy.bundle.shipped import mask_source
from execpolicy.engine.masks import Masks
from execpolicy.engine.policy import Policy
from execpolicy.engine.words import Places
from execpolicy.lang.rules import Mask
from execpolicy.shell.analyse import analyse
from execpolicy.values import frozen

LONG_NAME = 16  # characters from which on the name in an address is taken for a token


@frozen
class Masking:
    """How a session hides secrets."""

    redactor: Redactor
    masks: Masks

    def text(self, text: str) -> str:
        return self.redactor.text(text)

    def json(self, value: JsonObject, tool: str | None = None, server: str | None = None) -> JsonObject:
        return self.redactor.json(value, tool, server)

    def marker(self, text: str, mask: str) -> str:
        return self.redactor.marker(text, mask)

    def hidden_file(self, script: str) -> str | None:
        return self.masks.reads(script)


def masking(
    settings: Settings, policy: Policy, environment: Mapping[str, str], *, today: datetime.date | None = None
) -> Masking:
    """Hides the values of secret variables and of the key store, what has a secret's form, and what rules mask.

    With `today` markers carry digests, and the key of them is made where there is none: raises `AuditError` when
    it can neither be read nor made. Without, nothing is written.
    """
    places = Places(str(settings.cwd), str(settings.workspace), environment.get("HOME", ""))
    masks = Masks(
        _with_shipped(policy, settings.cache), places=places, read=lambda script: analyse(script).commands
    )
    secrets = {
        *secret_values(environment),
        *settings.secrets,
        *_of_address(settings.base_url or ""),
        *(value for name, value in environment.items() if value and masks.variable(name)),
    }
    key: MaskKey | None = None if today is None else current_key(settings.audit, today)
    return Masking(Redactor(sorted(secrets), key, masks), masks)


def masking_here(environment: Mapping[str, str], cwd: Path) -> Masking:
    """For what is shown of stored sessions. Raises `AgentError` for settings that are broken."""
    settings = load_settings(Flags(), environment, cwd)
    return masking(settings, load(settings).policy, environment)


def _with_shipped(policy: Policy, cache: Path) -> tuple[Mask, ...]:
    """The masks of the policy; with those that we ship, where no profile brings them."""
    source = mask_source()
    if source is None or any(mask.id.startswith("mask.") for mask in policy.masks):
        return policy.masks
    loaded = load_policy([source], cache_dir=cache)
    return (*policy.masks, *loaded.policy.masks)


def _of_address(url: str) -> Iterator[str]:
    """The password in an address; the name before it, where that is a token."""
    parts = urlsplit(url)
    if parts.password:
        yield unquote(parts.password)
    elif parts.username and len(parts.username) >= LONG_NAME:
        yield unquote(parts.username)
