"""Text for other shells: read where all read it alike, doubted where they differ."""

from __future__ import annotations

import pytest

from execpolicy.shell.analyse import analyse


@pytest.mark.parametrize(
    ("text", "dialect", "sure"),
    [
        pytest.param("p $'a'", "bash", True, id="bash-itself"),
        pytest.param("p a && q 'b c' | r > f", "sh", True, id="plain-sh"),
        pytest.param('for x in a b; do p "$x"; done', "dash", True, id="loop-in-dash"),
        pytest.param("p $'a\\'; q #'", "dash", False, id="quotes-dash-does-not-know"),
        pytest.param("[[ -f a ]]", "sh", False, id="test-command"),
        pytest.param("p <(q)", "sh", False, id="process-substitution"),
        pytest.param("p &> f", "dash", False, id="both-outputs"),
        pytest.param("p {a,b}", "dash", False, id="braces"),
        pytest.param("function f { p; }", "sh", False, id="function-word"),
        pytest.param("p a; q b", "zsh", True, id="plain-zsh"),
        pytest.param("p *(e:q:)", "zsh", False, id="zsh-glob"),
        pytest.param("=p a", "zsh", False, id="zsh-equals"),
        pytest.param("p $x", "fish", False, id="fish-variable"),
        pytest.param("dir -Recurse", "powershell", True, id="plain-powershell"),
        pytest.param("p 'a & q'", "cmd", False, id="cmd-has-other-quotes"),
        pytest.param("& $x", "pwsh", False, id="powershell-call"),
    ],
)
def test_dialect(text: str, dialect: str, sure: bool) -> None:
    facts = analyse(text, dialect=dialect)
    assert (not facts.unknowns and facts.readable) is sure
