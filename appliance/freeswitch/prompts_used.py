"""Which prompts a site needs as audio: what its applications name, and what the box says by itself. Pure."""

from appliance.freeswitch import (
    callback_xml,
    directory_xml,
    feature_xml,
    refusal_xml,
    screening_xml,
    voicemail_xml,
)
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.prompt_texts import GENERAL, Spoken, catalogue, pieces

ALWAYS = feature_xml.PROMPTS | refusal_xml.SAID | screening_xml.PROMPTS | callback_xml.PROMPTS
"""In the language of the site's features."""


def of(plan: MediaPlan) -> list[Spoken]:
    """In the languages that somebody speaks at this site."""
    named = {prompt for flow in plan.flows for node in flow.nodes for prompt in (*node.prompts, *node.again)}
    named |= {prompt for one in plan.applications for prompt in one.prompts} | GENERAL
    if any(one.record != "none" for one in plan.applications):
        named |= {"room_recorded", "room_recordable", "room_not_stored"}
    named |= {plan.music}
    if plan.mailboxes:
        named |= voicemail_xml.PROMPTS
    spoken = {flow.language for flow in plan.flows} | {one.language for one in plan.applications}
    spoken |= {box.language for box in plan.mailboxes}
    spoken |= set(plan.directory_languages)
    names = {directory_xml.name_prompt(person.number) for person in plan.people} | directory_xml.PROMPTS
    sentences = [
        one
        for one in catalogue(plan.prompts)
        if (one.language in spoken and one.prompt in named)
        or (one.language == plan.feature_language and one.prompt in ALWAYS | {plan.announcement})
        or (one.language in plan.directory_languages and one.prompt in names)
    ]
    return [*sentences, *(piece for language in sorted(spoken) for piece in pieces(language))]
