"""Setting schedules by hand from a telephone: by numbers of applications, each for one schedule, and by feature codes. Pure.

A feature code asks for an access code, which says which schedules are meant: those of the site document with that code.
"""

from appliance.freeswitch import code_xml, names
from appliance.freeswitch.applications import Kind, MediaPlan
from appliance.freeswitch.by_hand import AUTOMATIC
from appliance.freeswitch.flow_parts_xml import Prompts
from appliance.freeswitch.flow_xml import goodbye
from appliance.freeswitch.quoting import word
from appliance.freeswitch.schedule import State
from appliance.freeswitch.xml import Element, action

KEPT_MAX_S = 30
"""A call that sets a schedule ends by then, whoever hangs."""

COUNTED = "schedules"
"""Under this name wrong codes of all three feature codes are counted."""

STATES: dict[str, tuple[str, str]] = {
    Kind.SCHEDULE_OPEN: (State.OPEN, "set_open"),
    Kind.SCHEDULE_CLOSED: (State.CLOSED, "set_closed"),
    Kind.SCHEDULE_AUTOMATIC: (AUTOMATIC, "set_automatic"),
}
"""What the global variable is set to, and what is said. The kinds are also the ids of the feature codes."""


def actions(schedules: tuple[str, ...], kind: str, language: str, prompts: Prompts) -> tuple[Element, ...]:
    """Actions that set schedules. It holds at once; the clerk keeps it on disk. Without the agent it is found in the variable
    when that is back."""
    value, said = STATES[kind]
    return (
        action("answer"),
        *(action("set_global", f"{names.override(word(one))}={value}") for one in schedules),
        action("set", f"{names.QUESTION}=by-hand:{'+'.join(map(word, schedules))}:{value}"),
        action("sched_hangup", f"+{KEPT_MAX_S} alloted_timeout"),
        action("socket", f"${{{names.CLERK}}} async full"),
        action("playback", word(prompts[said, language])),
        *goodbye(),
    )


def guarded(plan: MediaPlan, prompts: Prompts) -> tuple[code_xml.Guarded, ...]:
    """What the feature codes in force ask for; none where no schedule has a code."""
    codes: dict[str, list[str]] = {}
    for one in plan.schedules:
        if one.access_code:
            codes.setdefault(one.access_code, []).append(one.id)
    language = plan.feature_language
    return tuple(
        code_xml.Guarded(
            feature.id,
            tuple((code, actions(tuple(ids), feature.id, language, prompts)) for code, ids in codes.items()),
            language,
            COUNTED,
        )
        for feature in plan.features
        if codes and feature.id in STATES
    )
