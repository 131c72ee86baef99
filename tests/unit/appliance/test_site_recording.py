"""What a site document says of recordings: who is told, and by which sentence."""

from typing import Any

import pytest

from appliance import site
from appliance.freeswitch import prompts_used
from tests.helpers.site_documents import document, extension

NAMED = [{"id": "ours", "en": "We record."}]
LANGUAGE = {"language": "en"}


def told(**changes: Any) -> tuple[str, str]:
    read = site.parse(document(**changes))
    return read.policy.announce, read.media.announcement


def test_nobody_is_told_unless_the_document_says_so_and_the_sentence_is_made_only_then() -> None:
    assert told() == ("off", "")
    assert told(recording={"announce": "everybody"}) == ("everybody", "call_recorded")
    assert told(extensions=[extension("201", announce="outside_callers")]) == ("off", "call_recorded")
    for recording, made in (({}, False), ({"announce": "outside_callers"}, True)):
        plan = site.parse(document(recording=recording, feature_codes=LANGUAGE)).media
        assert (
            ("call_recorded", "en") in {(one.prompt, one.language) for one in prompts_used.of(plan)}
        ) is made


def test_a_site_may_say_it_in_its_own_words() -> None:
    recording = {"announce": "outside_callers", "announce_prompt": "ours"}
    assert told(recording=recording, prompts=NAMED, feature_codes=LANGUAGE) == ("outside_callers", "ours")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"recording": {"announce": "always"}}, "$.recording.announce"),
        (
            {"recording": {"announce": "everybody", "announce_prompt": "nobody_s"}},
            "$.recording.announce_prompt",
        ),
        ({"recording": {"announce": "everybody", "announce_prompt": "${a}"}}, "$.recording.announce_prompt"),
        (
            {
                "recording": {"announce": "everybody", "announce_prompt": "ours"},
                "prompts": NAMED,
                "feature_codes": {"language": "ja"},
            },
            "$.recording.announce_prompt",
        ),
        ({"extensions": [extension("201", announce="loudly")]}, "$.extensions[0].announce"),
    ],
    ids=["unknown way", "no such prompt", "no name", "not in that language", "an extension's"],
)
def test_faults_are_told_with_their_place(changes: dict[str, Any], path: str) -> None:
    assert [problem.path for problem in site.validate(document(**changes))] == [path]
