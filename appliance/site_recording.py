"""The site document's rules on recordings: who is told, and by which keys a telephone pauses one. Pure."""

import re
from dataclasses import dataclass

from appliance.kamailio import announcement
from appliance.reader import Table
from appliance.site_flows import PROMPT_ID
from appliance.words import Form

CODE = Form(re.compile(r"[0-9*#]{2,8}", re.ASCII).fullmatch, "2 to 8 digits, * or #", "'*70'")


@dataclass(frozen=True, slots=True)
class PauseCodes:
    """What is pressed during a recorded call, at a telephone of the site. "": no such code."""

    pause: str = ""
    resume: str = ""


NO_CODES = PauseCodes()


def codes(recording: Table) -> PauseCodes:
    """The codes of the table `recording`. One that ends with the other would always be taken for it."""
    pause = recording.text("pause_code", "", form=CODE)
    resume = recording.text("resume_code", "", form=CODE)
    if pause and resume and (pause.endswith(resume) or resume.endswith(pause)):
        recording.problem("resume_code", "site.pause_codes_alike", value=resume, other=pause)
    return PauseCodes(pause, resume)


SENTENCE = "call_recorded"
"""Prompt of the box's own: what is said where the site names no other."""


def announced(recording: Table) -> tuple[str, str]:
    """Who is told that a call is recorded, and the prompt that says so."""
    return (
        recording.choice("announce", announcement.OFF, announcement.WAYS),
        recording.text("announce_prompt", SENTENCE, form=PROMPT_ID),
    )
