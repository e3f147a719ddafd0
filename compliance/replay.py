"""A recorded verdict's surroundings as they were: what is needed to judge the same call again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compliance.errors import RecordError
from compliance.events import Decided, Situated
from execpolicy.decision import SandboxMode
from execpolicy.engine.context import CheckContext


@dataclass(frozen=True, slots=True)
class Recorded:
    """The surroundings of one verdict, and what other rules asked for that nobody had looked up."""

    context: CheckContext
    missing: set[str]


def recorded(decided: Decided, situated: Situated) -> Recorded:
    """The surroundings in which `decided` was decided. RecordError where the record does not hold them.

    What was not looked up then is answered so that nothing is allowed by it, and is named in `missing`.
    """
    if decided.asked is None or decided.situation != situated.id:
        raise RecordError("the record does not hold what was judged", "it is of an older version")
    if decided.masked or situated.masked:
        raise RecordError("something was masked in the record", "what was taken out cannot be judged")
    answers = {(one.what, one.name, one.place): one.answer for one in decided.lookups}
    missing: set[str] = set()
    try:
        sandbox = SandboxMode(situated.sandbox)
    except ValueError:
        raise RecordError(f"`{situated.sandbox}` is no mode of the sandbox") from None
    return Recorded(
        CheckContext(
            cwd=answers.get(("real", decided.cwd, "")) or decided.cwd,
            workspace=situated.workspace,
            home=situated.home,
            writable=situated.writable,
            protected=situated.protected,
            sandbox=sandbox,
            facts={**dict(situated.facts), "cwd": decided.cwd},
            env=_Env(answers, missing),
            today=decided.today or None,
            minute=None if decided.minute < 0 else decided.minute,
            resolver=_Answers(answers, missing),
        ),
        missing,
    )


class _Answers:
    """The machine as it was."""

    def __init__(self, answers: Mapping[tuple[str, str, str], str | None], missing: set[str]) -> None:
        self._answers = answers
        self._missing = missing

    def program(self, name: str, cwd: str) -> str | None:
        key = ("program", name, cwd)
        if key not in self._answers:
            self._missing.add(f"program {name}")
        return self._answers.get(key)

    def real(self, path: str) -> str:
        return self._answers.get(("real", path, "")) or path


class _Env(dict[str, str]):
    """The variables that were looked at; others are named as missing, and empty."""

    def __init__(self, answers: Mapping[tuple[str, str, str], str | None], missing: set[str]) -> None:
        super().__init__(
            {
                name: answer
                for (what, name, _), answer in answers.items()
                if what == "env" and answer is not None
            }
        )
        self._known = {name for what, name, _ in answers if what == "env"}
        self._missing = missing

    def get(self, name: str, default: object = None) -> object:  # type: ignore[override]
        if name not in self._known:
            self._missing.add(f"env {name}")
        return super().get(name, default)
