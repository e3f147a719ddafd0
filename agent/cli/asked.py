"""What the settings say of commands in a folder, for questions to the policy: no key is looked for."""

from __future__ import annotations

import os
from typing import Any

from execpolicy.cli.place import Given, Place

# Of other files than the user's: read only where one of these words stands in it, or one may be written otherwise.
_WORDS = (b"sandbox", b"profile", b"trust_level", b"\\")
_REQUIREMENTS = "/etc/agent/requirements.toml"
_FIELDS = ("sandbox", "network", "writable", "exclude_slash_tmp", "exclude_tmpdir")
_LOOKED_AT = 1 << 20


def settings_of(place: Place) -> Given | str:
    """The sandbox that a command gets there; a sentence where no run could begin with these settings."""
    if not os.path.exists(_REQUIREMENTS) and not _speaks(os.path.join(place.home, "config.toml")):
        return Given()
    from pathlib import Path

    from agent.config.load import Flags, read_layers
    from agent.errors import AgentError

    try:
        found = read_layers(Flags(), {"AGENT_HOME": place.home}, Path(place.folder))
    except AgentError as error:
        return f"{error}; {error.help}" if error.help else str(error)
    values: dict[str, Any] = {name: found.entries[name].value for name in _FIELDS if name in found.entries}
    return Given(**values | {"writable": tuple(map(str, values.get("writable", ())))})


def _speaks(path: str) -> bool:
    """Whether the file may say something about commands. Most say only which model is asked."""
    try:
        if not os.path.isfile(path):  # a pipe would be waited for
            return os.path.lexists(path)
        with open(path, "rb") as file:
            text = file.read(_LOOKED_AT)
    except OSError:
        return True
    return any(word in text for word in _WORDS)
