"""FreeSWITCH's section "languages": what is said by phrase macros, in every language that a box speaks. Pure."""

from appliance.freeswitch import spoken_xml, voicemail_xml
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.prompt_texts import LANGUAGES
from appliance.freeswitch.xml import Element, element


def section(plan: MediaPlan, audio: voicemail_xml.Audio, folder: str) -> Element:
    """Numbers and dates always, voicemail's sentences where somebody has a box in that language. folder: of prompts."""
    boxes = {box.language for box in plan.mailboxes}
    found = [
        element(
            "language",
            element(
                "phrases",
                element(
                    "macros",
                    *spoken_xml.macros(folder, language),
                    *(voicemail_xml.macros(audio, language) if language in boxes else ()),
                ),
                *spoken_xml.groups(folder, language),
            ),
            name=language,
            say_module=language,
            sound_prefix="/nowhere",
        )
        for language in LANGUAGES
    ]
    return Element("section", {"name": "languages"}, tuple(found))
