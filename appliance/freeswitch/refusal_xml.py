"""Why a call could not be connected, said in the site's language before it is answered: part of the entry dialplan. Pure."""

from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.flow_parts_xml import Prompts
from appliance.freeswitch.quoting import word
from appliance.freeswitch.xml import Element, action, element
from appliance.kamailio.refusals import PROMPTS, USER

SAID = frozenset(PROMPTS.values())

LEAD_MS = 300
"""The way to the telephone's ear opens with the first packets."""


def extensions(plan: MediaPlan, prompts: Prompts) -> tuple[Element, ...]:
    """One extension for each code. The call is never answered, so nobody pays for it."""
    return tuple(
        element(
            "extension",
            element(
                "condition",
                action("pre_answer"),
                action("sleep", str(LEAD_MS)),
                action("playback", word(prompts[prompt, plan.feature_language])),
                action("sleep", str(LEAD_MS)),
                action("respond", str(code)),
                field="destination_number",
                expression=f"^{USER}{code}$",
            ),
            name=f"{USER}{code}",
        )
        for code, prompt in PROMPTS.items()
    )
