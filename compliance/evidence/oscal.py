"""A pack as OSCAL assessment results: observations for what records show, findings only for what is missing. Pure.

A finding says `not-satisfied` where no record speaks for a control. `satisfied` is never said: that is the
assessor's word, and records are no assessor.
"""

from __future__ import annotations

import json
import re
import uuid
from datetime import datetime
from typing import Any, Final

from compliance.errors import ComplianceError
from compliance.evidence.pack import Finding, Pack, Status
from compliance.plain import visible

VERSION: Final = "1.2.1"
_SPACE: Final = uuid.UUID("6f0f3c52-5c0b-5d0e-9c4f-8d5c3f2b7a10")
_OURS: Final = "urn:policy-agent:oscal"
_EPOCH: Final = "1970-01-01T00:00:00Z"


class NotOscal(ComplianceError):
    """What was made is not what OSCAL's model takes."""


def to_oscal(pack: Pack, files: tuple[str, ...]) -> bytes:
    """As JSON. `files`: names of the proofs that lie beside it. The same pack gives the same bytes."""
    seed = json.dumps(
        [pack.name, pack.period.text(pack.facts), [one.end.digest for one in pack.sound], pack.facts.records]
    )
    space = uuid.uuid5(_SPACE, seed)
    last = _time(pack.generated or pack.facts.last)
    plan = _id(space, "plan")
    observations = [_observation(space, pack, finding, frozenset(files)) for finding in pack.findings]
    result: dict[str, Any] = {
        "uuid": _id(space, "result"),
        "title": f"Record of {pack.framework.title}",
        "description": _line(_told(pack)),
        "start": _time(pack.period.since or pack.facts.first),
        "end": _time(pack.period.until or pack.facts.last),
        "props": [
            _prop("complete", "yes" if pack.complete else "no"),
            _prop("records", str(pack.facts.records)),
            _prop("gaps", str(len(pack.annexes.gaps.tables[0].rows))),
        ],
        "reviewed-controls": {
            "control-selections": [
                {"include-controls": [{"control-id": finding.control.token} for finding in pack.findings]}
            ]
        },
        "observations": observations,
    }
    findings = [_missing(space, finding) for finding in pack.findings if finding.status is Status.NONE]
    if findings:
        result["findings"] = findings
    resources = [
        {
            "uuid": plan,
            "title": "Assessment plan",
            "description": "There is none: the catalogue of the program says what is looked for.",
        },
        *({"uuid": _id(space, f"file {name}"), "title": name, "rlinks": [{"href": name}]} for name in files),
    ]
    document = {
        "assessment-results": {
            "uuid": _id(space, "document"),
            "metadata": {
                "title": f"Evidence pack: {pack.framework.title}",
                "last-modified": last,
                "version": "1",
                "oscal-version": VERSION,
                "remarks": "Evidence for somebody's judgement, no judgement of conformity.",
            },
            "import-ap": {"href": f"#{plan}"},
            "results": [result],
            "back-matter": {"resources": resources},
        }
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _observation(space: uuid.UUID, pack: Pack, finding: Finding, files: frozenset[str]) -> dict[str, Any]:
    control = finding.control
    shown = [f"{fact.count} {fact.text}" for fact in finding.shown]
    rules = [f"rule {one.key.id}: {sum(one.use.verdicts.values())} verdicts" for one in finding.rules]
    evidence = []
    for ref in finding.refs:
        one = {"description": _line(f"record {ref.seq} of {ref.time}, digest {ref.digest}")}
        href = f"proofs/log-{_log_number(pack, ref.log)}/records/{ref.seq}.tlog-proof"
        evidence.append({"href": href, **one} if href in files else one)
    found: dict[str, Any] = {
        "uuid": _id(space, f"observation {control.id}"),
        "title": _line(f"{control.id}: {finding.status.value}"),
        "description": _line(
            "; ".join([*shown, *rules]) or "no record of the period speaks for this control"
        ),
        "methods": ["EXAMINE"],
        "types": ["control-objective"],
        "collected": _time(pack.facts.last),
        "props": [
            _prop("control", control.token),
            _prop("state", finding.status.value),
            *(_prop("rule", one.key.id) for one in finding.rules[:200]),
        ],
    }
    if evidence:
        found["relevant-evidence"] = evidence
    if finding.missing:
        found["remarks"] = "Missing:\n" + "\n".join(f"- {_line(text)}" for text in finding.missing[:200])
    return found


def _missing(space: uuid.UUID, finding: Finding) -> dict[str, Any]:
    control = finding.control
    return {
        "uuid": _id(space, f"finding {control.id}"),
        "title": _line(f"{control.id}: no record"),
        "description": "No record of the period speaks for this control.",
        "target": {
            "type": "objective-id",
            "target-id": control.token,
            "status": {"state": "not-satisfied", "reason": "other", "remarks": "no record"},
        },
        "related-observations": [{"observation-uuid": _id(space, f"observation {control.id}")}],
    }


def _log_number(pack: Pack, name: str) -> int:
    return next((at for at, one in enumerate(pack.sound, 1) if one.log.name == name), 0)


def _told(pack: Pack) -> str:
    if pack.complete:
        return "The log was checked as a whole and is what was sealed."
    return "; ".join(["The record does not verify; nothing here is verified", *pack.incomplete])


def _prop(name: str, value: str) -> dict[str, str]:
    return {"name": name, "ns": _OURS, "value": _line(value)}


def _line(text: str) -> str:
    """One line that begins and ends with something, as OSCAL's texts have to."""
    return re.sub(r"\s+", " ", visible(text, 4000)).strip() or "(empty)"


def _time(text: str) -> str:
    """A forged record may hold no time."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return _EPOCH
    return (
        text if re.fullmatch(r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}(\.[0-9]+)?Z", text) else _EPOCH
    )


def _id(space: uuid.UUID, name: str) -> str:
    return str(uuid.uuid5(space, name))


def check_oscal(data: bytes) -> bool:
    """Whether compliance-trestle was there to read it. NotOscal when it does not take it."""
    try:
        from trestle.oscal.assessment_results import Model
    except ImportError:
        return False
    from pydantic import ValidationError

    try:
        Model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(map(str, first["loc"]))
        raise NotOscal(
            f"the assessment results are no OSCAL: {place}: {first['msg']}", "report this"
        ) from None
    return True
