"""Rules of the site document's part on media applications, in English: key -> (message, hint). Pure."""

from appliance.freeswitch.flow_check import FLOW_TEMPLATES

MEDIA_TEMPLATES: dict[str, tuple[str, str]] = FLOW_TEMPLATES | {
    "media.hours": (
        "{begin} is not before {end}",
        "Hours that pass midnight are two entries, one to 24:00 and one from 00:00.",
    ),
    "media.no_such_day": ("{value} is no day of the calendar", "Correct the date."),
    "media.prompt_empty": ("prompt {value} says nothing", "Give its text in at least one language."),
    "media.prompt_not_stored": (
        "no recording {value} is stored for the tenant {tenant}",
        "Store it with kyusai centre prompt add, or correct the digits.",
    ),
    "media.id_taken": ("{value} is already the id of {other}", "Give each its own id."),
    "media.flow_unknown": ("{value} is not a flow; known are {known}", "Correct the id, or add the flow."),
    "media.flow_missing": ("an application of kind flow names no flow", "Name the flow that answers."),
    "media.no_prompt": ("an announcement without a prompt says nothing", "Add at least one prompt."),
    "media.no_code": (
        "the box of {value} has no PIN: anybody could listen to its messages",
        "Give code_md5, the MD5 of number:domain:PIN.",
    ),
    "media.flow_unused": ("no application uses flow {value}", "Remove it, or give it a number."),
}
"""The last one is a warning."""
