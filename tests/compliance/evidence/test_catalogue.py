"""The catalogue is data that fits its schema, and controls are found however rules spell them."""

from __future__ import annotations

import msgspec
import pytest

from compliance.cli_evidence import FrameworkName
from compliance.evidence.catalogue import FRAMEWORKS, Framework, framework, named_by
from compliance.evidence.facts import WANTED, Facts

CONTROLS = {
    "soc2": "CC6.1 CC6.3 CC6.6 CC6.8 CC7.2 CC7.3 CC8.1",
    "iso27001": "A.5.15 A.8.9 A.8.15 A.8.16 A.8.17 A.8.18 A.8.19 A.8.20 A.8.32",
    "iso42001": "A.6.2.6 A.6.2.8 A.9",
    "nist-800-53": (
        "AU-2 AU-3 AU-4 AU-5 AU-6 AU-8 AU-9 AU-9(3) AU-10 AU-11 AU-12 CM-3 CM-5 CM-6 CM-7(5) SI-7 AC-3 AC-6 IR-4 SC-7"
    ),
    "pci": "6.5 7.2 10.2 10.3 10.4 10.5 10.6 10.7",
    "eu-ai-act": "Art.12 Art.14 Art.19 Art.26(5) Art.26(6)",
}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_catalogue_speaks_only_of_known_facts(name: str) -> None:
    known = set(Facts().named(()))
    assert known == set(WANTED)
    controls = framework(name).controls
    assert {control.id.replace(" ", "") for control in controls} == set(CONTROLS[name].split())
    assert len({control.token for control in controls}) == len(controls)
    for control in controls:
        assert set(control.shown_by) <= known
        assert control.shown_by
    assert {one.value for one in FrameworkName} == set(FRAMEWORKS)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_every_control_is_found_by_every_name_of_it(name: str) -> None:
    found = framework(name)
    for control in found.controls:
        for scheme in found.schemes:
            for id in (control.id, *control.aliases):
                for text in (f"{scheme}:{id}", f" {scheme.upper()} : {id.lower()}", f"{scheme}/{id}"):
                    assert control in named_by(found, (text,)), text


@pytest.mark.parametrize(
    ("name", "written", "ids"),
    [
        pytest.param("soc2", "CC6.1", ["CC6.1"], id="no-framework"),
        pytest.param("soc2", "soc2:cc6.1", ["CC6.1"], id="case"),
        pytest.param("soc2", "SOC 2:CC6.1", ["CC6.1"], id="space"),
        pytest.param("soc2", "CC6.10", [], id="longer-number"),
        pytest.param("soc2", "pci:CC6.1", [], id="other-framework"),
        pytest.param("soc2", "CC6.1.2", [], id="not-nested"),
        pytest.param("nist-800-53", "NIST:AU-9.3", ["AU-9(3)"], id="dotted-enhancement"),
        pytest.param("nist-800-53", "nist-800-53:AU-09 (03)", ["AU-9(3)"], id="zeros"),
        pytest.param("nist-800-53", "AU-9", ["AU-9"], id="base-is-not-its-enhancement"),
        pytest.param("pci", "PCI DSS:10.2.1.4", ["10.2"], id="part-of-a-requirement"),
        pytest.param("pci", "PCI-DSS:10.20", [], id="another-requirement"),
        pytest.param("pci", "10.2", ["10.2"], id="number-that-is-the-id"),
        pytest.param("iso27001", "ISO/IEC 27001:8.15", ["A.8.15"], id="without-the-A"),
        pytest.param("iso27001", "8.15", [], id="bare-number-says-nothing"),
        pytest.param("eu-ai-act", "AI Act:Article 14(4)", ["Art. 14"], id="paragraph-of-an-article"),
        pytest.param("eu-ai-act", "eu-ai-act:26(5)", ["Art. 26(5)"], id="bare-article"),
        pytest.param("eu-ai-act", "14", [], id="bare-number"),
    ],
)
def test_controls_are_found_by_their_names(name: str, written: str, ids: list[str]) -> None:
    assert [control.id for control in named_by(framework(name), (written,))] == ids


@pytest.mark.parametrize(
    "change",
    [
        {"controls": []},
        {"schemes": []},
        {"more": 1},
        {"title": "a\nb"},
        {"controls": [{"id": "<b>", "title": "tt", "aim": "aa", "shown_by": [], "beyond": []}]},
        {"controls": [{"id": "A", "title": "tt", "aim": "aa", "shown_by": ["No"], "beyond": []}]},
    ],
)
def test_what_does_not_fit_the_schema_is_not_read(change: dict[str, object]) -> None:
    data = msgspec.to_builtins(framework("soc2")) | change
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(data), type=Framework)
