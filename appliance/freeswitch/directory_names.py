"""Puts a site's people into its media plan: who is found by name, and prompts that say the names. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from appliance.freeswitch.applications import MediaPlan, Prompt
from appliance.freeswitch.directory_keys import Person
from appliance.freeswitch.directory_xml import SPOKEN_NAMES_MAX, name_prompt


def with_people(plan: MediaPlan, people: Sequence[Person]) -> MediaPlan:
    """The plan of a site with these people; as it was where nobody can dial by name."""
    if not plan.directory_languages:
        return plan
    spoken = () if len(people) > SPOKEN_NAMES_MAX else tuple(map(_prompt, people))
    return replace(plan, people=tuple(people), prompts=plan.prompts + spoken)


def _prompt(person: Person) -> Prompt:
    """A reading is spoken in Japanese, a name in both languages; each stands in for the other where one is missing."""
    japanese, english = person.kana or person.name, person.name or person.kana
    return Prompt(name_prompt(person.number), (("en", english), ("ja", japanese)))
