"""Answers and schemas of every kind: a verdict in bounded time, nothing fetched, never an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.errors import ConfigError
from agent.headless import fit

pytest.importorskip("jsonschema")


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"properties": {"a": schema}}
    return schema


DOUBLING = {
    "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    | {"d40": {"type": "string"}},
    "$ref": "#/$defs/d0",
}
TREE = {"$defs": {"n": {"properties": {"c": {"$ref": "#/$defs/n"}}, "type": "object"}}, "$ref": "#/$defs/n"}


@pytest.mark.parametrize(
    ("schema", "text", "says"),
    [
        pytest.param({}, "{}", "", id="anything"),
        pytest.param(TREE, '{"c": {"c": {}}}', "", id="recursive"),
        pytest.param(TREE, '{"c": {"c": 1}}', "$.c.c: 1 is not of type 'object'", id="recursive-misfit"),
        pytest.param({"pattern": "^a+$"}, '"aaa"', "", id="pattern"),
        pytest.param({"pattern": "^a+$"}, '"b"', "does not match", id="pattern-misfit"),
        pytest.param({"$ref": "#"}, "{}", "nested too deeply", id="itself"),
        pytest.param({"multipleOf": 1e-300}, "1e308", "multiple", id="far-numbers"),
        pytest.param({"type": "number"}, "NaN", "is no number of JSON", id="nan"),
        pytest.param({"type": "number"}, "Infinity", "is no number of JSON", id="infinity"),
        pytest.param({}, "9" * 5000, "it is not JSON", id="endless-number"),
        pytest.param({}, '{"a":' * 100_000, "it is not JSON", id="deep-answer"),
        pytest.param({}, "", "it is not JSON", id="empty"),
        pytest.param({"type": "string"}, json.dumps({"a": "x" * 5000}), "…", id="long-error"),
    ],
)
def test_an_answer_fits_or_it_is_said_why_not(schema: dict[str, Any], text: str, says: str) -> None:
    fit.usable(schema)
    found = fit.flaws(schema, text)
    assert bool(found) is bool(says)
    assert says in "".join(found)
    assert all(len(one) < 400 for one in found)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        pytest.param({"pattern": "^(a+)+$"}, '"' + "a" * 60 + '!"', id="pattern-that-tries-every-way"),
        pytest.param(DOUBLING, '"x"', id="references-that-double"),
    ],
)
def test_a_check_that_takes_for_ever_is_ended(
    schema: dict[str, Any], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "MOST_SECONDS", 1.0)
    fit.usable(schema)
    (found,) = fit.flaws(schema, text)
    assert "took more than 1 s" in found


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        pytest.param({"$ref": "http://127.0.0.1:9/s.json"}, "which is not in it", id="elsewhere"),
        pytest.param({"prefixItems": [{"$ref": "file:///etc/passwd"}]}, "which is not in it", id="file"),
        pytest.param({"properties": {"a": {"$ref": "#/nowhere"}}}, "which is not in it", id="nowhere"),
        pytest.param({"$ref": 5}, "not of type 'string'", id="no-reference"),
        pytest.param({"pattern": "("}, "is not a 'regex'", id="no-pattern"),
        pytest.param({"type": "objekt"}, "is not valid", id="no-type"),
        pytest.param({"multipleOf": 0}, "minimum", id="multiple-of-nothing"),
        pytest.param(nested(200), "nested too deeply", id="deep"),
    ],
)
def test_what_no_answer_can_be_checked_with_is_told_first(schema: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        fit.usable(schema)


def test_data_in_a_schema_is_no_reference() -> None:
    fit.usable({"properties": {"$ref": {"type": "string"}}, "const": {"$ref": "http://127.0.0.1:9/x"}})
    fit.usable({"$defs": {"a": {"$id": "urn:a", "type": "string"}}, "$ref": "urn:a"})
