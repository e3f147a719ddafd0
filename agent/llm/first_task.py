"""The script of the built-in model: one small task, told step by step, on the project of the first run.

It is no intelligence. Each step looks at what the last calls answered and says so; in another project, or when
asked a second time, it says what it is and how to use a live model.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.llm.scripted import Calls, CallsCustom, Output, Says, Step, Thinks, respond
from agent.protocol.items import Json, JsonObject

WHAT_I_AM = (
    "I am the built-in scripted model: I know one task, on the project of the first run, and nothing else. "
    "Set OPENAI_API_KEY (or OPENAI_BASE_URL for any server with the Responses API) to work with a live model."
)

_TESTS = "python3 -m unittest -v"
_PATCH = """\
*** Begin Patch
*** Update File: inventory/pricing.py
@@ def line_total(unit_cents: int, pieces: int) -> int:
     total = unit_cents * pieces
-    if pieces > DISCOUNT_FROM:
+    if pieces >= DISCOUNT_FROM:
         total = round(total * (100 - DISCOUNT_PERCENT) / 100)
*** End Patch
"""


def script(request: JsonObject) -> Step:
    """The next step, from the conversation alone: nothing is remembered between requests."""
    history = request.get("input")
    items = [item for item in history if isinstance(item, dict)] if isinstance(history, list) else []
    users = [at for at, item in enumerate(items) if item.get("role") == "user"]
    since = items[users[-1] + 1 :] if users else items
    told = [item for item in items if item.get("type") == "message" and item.get("role") == "assistant"]
    step = sum(item.get("type") == "message" and item.get("role") == "assistant" for item in since)
    if len(told) > step or step >= len(_STEPS):
        return respond(Says(WHAT_I_AM))
    return _STEPS[step](_outputs(since))


def _outputs(items: list[JsonObject]) -> list[str]:
    """What the calls of the last step answered, in their order."""
    outputs: list[str] = []
    for item in items:
        kind = item.get("type")
        if kind == "message":
            outputs = []
        elif kind in ("function_call_output", "custom_tool_call_output"):
            outputs.append(_text(item.get("output")))
    return outputs


def _text(output: Json) -> str:
    if isinstance(output, str):
        return output
    parts = output if isinstance(output, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _run(cmd: str) -> Output:
    return Calls("exec_command", {"cmd": cmd})


def _plan(done: int) -> Output:
    steps = ("See which test fails", "Mend the code", "Run the tests again")
    status = ["completed"] * done + ["in_progress"] + ["pending"] * len(steps)
    plan: list[Json] = [{"step": step, "status": state} for step, state in zip(steps, status, strict=False)]
    return Calls("update_plan", {"plan": plan})


def _ran_well(outputs: list[str]) -> bool:
    return any("exited with code 0" in output and "\nOK" in output for output in outputs)


def _look(outputs: list[str]) -> Step:
    return respond(
        Thinks("Look at the project before touching it."),
        Says("I look at the project and at its rules for agents first."),
        _run("ls -R"),
        _run("cat AGENTS.md"),
    )


def _test(outputs: list[str]) -> Step:
    if not any("pricing.py" in output for output in outputs):
        return respond(Says(f"This is not the project of the first run, so I stop here. {WHAT_I_AM}"))
    return respond(Says("The tests come next, to see what fails."), _plan(0), _run(_TESTS))


def _read(outputs: list[str]) -> Step:
    if _ran_well(outputs):
        return respond(Says("All tests pass already: there is nothing to mend."))
    return respond(
        Says("One test fails: the discount should start at ten pieces. I read the code."),
        _run("cat inventory/pricing.py | head -40"),
        _run("grep -n 'ten' tests/test_pricing.py inventory/pricing.py"),
    )


def _clean(outputs: list[str]) -> Step:
    return respond(
        Says("`build/` holds a stale copy of the same code. AGENTS.md says it may go after asking."),
        Calls("exec_command", {"cmd": "rm -r build", "justification": "stale copy of the code to mend"}),
    )


def _mend(outputs: list[str]) -> Step:
    gone = any("exited with code 0" in output for output in outputs)
    word = "It is gone." if gone else "It stays, then."
    return respond(
        Says(f"{word} Now the fault itself: `>` must be `>=`."), _plan(1), CallsCustom("apply_patch", _PATCH)
    )


def _test_again(outputs: list[str]) -> Step:
    return respond(Says("I run the tests again."), _plan(2), _run(_TESTS))


def _publish(outputs: list[str]) -> Step:
    if not _ran_well(outputs):
        return respond(Says("The tests still do not pass here, so I stop and leave the rest to you."))
    return respond(
        Says("All tests pass. I try to publish the fix."), _plan(3), _run("git push --force origin main")
    )


def _end(outputs: list[str]) -> Step:
    refused = not any("exited with code 0" in output for output in outputs)
    word = "The push was refused by the policy, so the change waits" if refused else "The change is pushed"
    return respond(
        Says(
            "Done: the quantity discount now starts at ten pieces, and all tests pass. "
            f"{word} in the working tree: review it with `git diff`."
        )
    )


_STEPS: tuple[Callable[[list[str]], Step], ...] = (
    _look,
    _test,
    _read,
    _clean,
    _mend,
    _test_again,
    _publish,
    _end,
)
