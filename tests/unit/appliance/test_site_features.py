"""Feature codes of a site document: which are in force, and what stands in their way."""

from typing import Any

import pytest

from appliance import site
from appliance.feature_codes import READY
from tests.helpers.site_documents import document


def codes(**changes: Any) -> dict[str, str]:
    return {one.id: one.code for one in site.parse(document(**changes)).media.features}


def problems(**changes: Any) -> list[tuple[str, str]]:
    return [(one.path, one.key) for one in site.validate(document(**changes))]


ANNOUNCEMENT = {"kind": "announcement", "prompts": ["welcome"]}


def test_a_site_that_says_nothing_has_every_code_of_the_table() -> None:
    assert codes() == {one.id: one.code for one in READY}


def test_a_code_is_changed_and_another_switched_off() -> None:
    found = codes(feature_codes={"voicemail_own": "*81", "echo": "off"})
    assert found["voicemail_own"] == "*81"
    assert "echo" not in found


def test_an_application_of_the_site_keeps_its_number_and_the_default_code_goes() -> None:
    found = codes(applications=[{"number": "*43", **ANNOUNCEMENT}])
    assert "echo" not in found
    assert "voicemail_own" in found


def test_a_code_that_the_document_names_takes_the_place_of_a_default_one() -> None:
    found = codes(feature_codes={"echo": "*65"})
    assert found["echo"] == "*65"
    assert "announce_number" not in found


def test_default_codes_that_meet_the_outside_prefix_go() -> None:
    numbering = document()["numbering"] | {"outside_prefix": "*9"}
    found = codes(numbering=numbering)
    assert not {"voicemail_own", "voicemail_leave"} & set(found)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"feature_codes": {"echo": "43"}}, ("$.feature_codes.echo", "field.pattern")),
        ({"feature_codes": {"echo": "*1234567"}}, ("$.feature_codes.echo", "field.long")),
        (
            {"feature_codes": {"echo": "*81", "voicemail_own": "*81"}},
            ("$.feature_codes.echo", "site.code_taken"),
        ),
        (
            {"feature_codes": {"voicemail_leave": "*4", "echo": "*44"}},
            ("$.feature_codes.echo", "site.code_taken"),
        ),
        (
            {"feature_codes": {"echo": "*81"}, "applications": [{"number": "*81", **ANNOUNCEMENT}]},
            ("$.feature_codes.echo", "site.code_taken"),
        ),
        (
            {
                "feature_codes": {"voicemail_leave": "*4"},
                "applications": [{"number": "*412", **ANNOUNCEMENT}],
            },
            ("$.feature_codes.voicemail_leave", "site.code_taken"),
        ),
        ({"feature_codes": {"ecko": "*81"}}, ("$.feature_codes.ecko", "field.misspelt")),
        ({"feature_codes": {"language": "fr"}}, ("$.feature_codes.language", "field.choice")),
    ],
)
def test_a_code_that_is_not_free_is_named(changes: dict[str, Any], fault: tuple[str, str]) -> None:
    assert problems(**changes) == [fault]


def test_a_code_that_meets_the_outside_prefix_is_named() -> None:
    numbering = document()["numbering"] | {"outside_prefix": "*9"}
    found = problems(numbering=numbering, feature_codes={"voicemail_own": "*97"})
    assert found == [("$.feature_codes.voicemail_own", "site.code_taken")]


def test_forwarding_may_name_a_voicemail_box_by_the_code_of_this_site() -> None:
    box = {"number": "201", "code_md5": "0" * 32}
    extension = document()["extensions"][0] | {"forward_no_answer": "*81201"}
    changes = {"mailboxes": [box], "extensions": [extension], "feature_codes": {"voicemail_leave": "*81"}}
    assert problems(**changes) == []
