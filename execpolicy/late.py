"""Regular expressions that are compiled when they are first used: a start pays for none that it does not need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    def late_pattern(text: str, flags: int = 0) -> re.Pattern[str]:
        """As `re.compile`."""

else:

    class late_pattern:
        """As `re.compile`."""

        def __init__(self, text: str, flags: int = 0) -> None:
            self._given = (text, flags)

        def __getattr__(self, name: str) -> Any:
            found = getattr(re.compile(*self._given), name)
            setattr(self, name, found)  # the next look goes straight there
            return found
