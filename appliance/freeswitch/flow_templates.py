"""Call flows to begin with: reception desk, out of hours, contact centre, emergency closure. Pure.

A template is a part of a site document: applications, flows, schedules, queues, ready to be put into one. All that is said is
built in, in English and Japanese; numbers and hours are settings.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.errors import KyusaiError

Part = dict[str, list[dict[str, Any]]]
"""Field of the site document -> what is added to it."""

_FORMS = {
    "number": (r"\+?[0-9*#]{1,32}", "a number as a telephone dials it"),
    "numbers": (r"[0-9]{2,10}(?: [0-9]{2,10})*", "extensions with spaces between them"),
    "time": (r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00", "a time of day such as 09:00"),
    "seconds": (r"[1-9][0-9]{1,3}", "seconds from 10 to 9999"),
    "id": (r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", "lower-case letters, digits and hyphens"),
    "language": (r"en|ja", "en or ja"),
    "holidays": (r"jp|none", "jp or none"),
    "code": (r"[0-9]{4,10}", "4 to 10 digits"),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. form: key of what its value must be."""

    default: str
    form: str


@dataclass(frozen=True, slots=True)
class Template:
    """One template. make: the part of a document for settings that are all there."""

    name: str
    settings: Mapping[str, Setting]
    make: Callable[[Mapping[str, str]], Part]


def part(name: str, given: Mapping[str, str]) -> Part:
    """What a template adds to a document. Raises `KyusaiError` "flow.template" and "flow.template_setting"."""
    template = TEMPLATES.get(name)
    if template is None:
        raise KyusaiError(
            "flow.template",
            f"{name!r} is not a template; known are {', '.join(TEMPLATES)}",
            "kyusai flow template list shows what each is for.",
            value=name,
            known=", ".join(TEMPLATES),
        )
    for key, value in given.items():
        setting = template.settings.get(key)
        known = ", ".join(template.settings)
        pattern, expected = _FORMS[setting.form] if setting else ("", f"one of the settings {known}")
        if setting is None or not re.fullmatch(pattern, value, re.ASCII):
            raise KyusaiError(
                "flow.template_setting",
                f"{key}={value}: expected {expected}",
                f"Settings of {name} are {known}.",
                value=f"{key}={value}",
                expected=expected,
                name=name,
                known=known,
            )
    return template.make({key: one.default for key, one in template.settings.items()} | dict(given))


def _flow(told: Mapping[str, str], *nodes: dict[str, Any]) -> dict[str, Any]:
    return {"id": told["id"], "language": told["language"], "nodes": list(nodes)}


def _application(told: Mapping[str, str]) -> dict[str, Any]:
    return {"number": told["number"], "kind": "flow", "flow": told["id"], "fallback": told["desk"]}


def _bye(node_id: str, prompt: str) -> dict[str, Any]:
    return {"id": node_id, "do": "hangup", "prompts": [prompt]}


def _call(node_id: str, number: str, unanswered: str) -> dict[str, Any]:
    return {"id": node_id, "do": "transfer", "number": number, "ring_s": 25, "unanswered": unanswered}


def _hours(told: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": f"{told['id']}-hours",
        "hours": [{"from": told["opens"], "to": told["closes"]}],
        "public_holidays": told["holidays"],
    }


def _when(told: Mapping[str, str], opened: str) -> dict[str, Any]:
    ways = {"open": opened, "closed": "closed", "holiday": "holiday"}
    return {"id": "when", "do": "schedule", "schedule": f"{told['id']}-hours", **ways}


def _reception(told: Mapping[str, str]) -> Part:
    """Greeting, a menu of three keys, dial by extension."""
    menu = {
        "id": "menu",
        "do": "menu",
        "prompts": ["main_menu"],
        "again": ["invalid"],
        "keys": [
            {"key": "1", "then": "sales"},
            {"key": "2", "then": "support"},
            {"key": "0", "then": "desk"},
            {"key": "*", "then": "extension"},
        ],
        "timeout": "desk",
        "invalid": "desk",
    }
    extension = {
        "id": "extension",
        "do": "collect",
        "prompts": ["enter_extension"],
        "again": ["no_such_number"],
        "variable": "extension",
        "least": 2,
        "most": 10,
        "next": "dial",
        "failed": "desk",
    }
    dial = {"id": "dial", "do": "transfer", "variable": "extension", "unanswered": "desk"}
    return {
        "applications": [_application(told)],
        "flows": [
            _flow(
                told,
                {"id": "hello", "do": "play", "prompts": ["welcome"], "next": "menu"},
                menu,
                _call("sales", told["sales"], "desk"),
                _call("support", told["support"], "desk"),
                extension,
                dial,
                _call("desk", told["desk"], "nobody"),
                _bye("nobody", "nobody"),
            )
        ],
    }


def _out_of_hours(told: Mapping[str, str]) -> Part:
    """In the hours the desk rings; otherwise a word on why not."""
    return {
        "applications": [_application(told)],
        "schedules": [_hours(told)],
        "flows": [
            _flow(
                told,
                _when(told, "desk"),
                _call("desk", told["desk"], "nobody"),
                _bye("nobody", "nobody"),
                _bye("closed", "closed"),
                _bye("holiday", "holiday"),
            )
        ],
    }


def _contact_centre(told: Mapping[str, str]) -> Part:
    """Hours, a word on the recording, and a queue that nobody enters who would wait too long."""
    queue = {"id": told["id"], "agents": told["agents"].split(), "timeout_s": int(told["wait_s"])}
    wait = {
        "id": "wait",
        "do": "queue",
        "queue": told["id"],
        "timeout": "busy",
        "full": "busy",
        "nobody": "desk",
    }
    long = {
        "id": "long",
        "do": "branch",
        "on": "queue_longest_s",
        "queue": told["id"],
        "cases": [{"at_least": int(told["wait_s"]) * 4 // 5, "then": "busy"}],
        "otherwise": "recorded",
    }
    return {
        "applications": [_application(told)],
        "schedules": [_hours(told)],
        "queues": [queue],
        "flows": [
            _flow(
                told,
                _when(told, "hello"),
                {"id": "hello", "do": "play", "prompts": ["welcome"], "next": "long"},
                long,
                {"id": "recorded", "do": "record_announce", "next": "wait"},
                wait,
                _call("desk", told["desk"], "busy"),
                _bye("busy", "nobody"),
                _bye("closed", "closed"),
                _bye("holiday", "holiday"),
            )
        ],
    }


def _emergency_closure(told: Mapping[str, str]) -> Part:
    """Calls go to the desk until somebody dials the closing number; then callers hear why, and may press a key for help."""
    schedule = f"{told['id']}-closure"
    menu = {
        "id": "closed",
        "do": "menu",
        "prompts": ["emergency_closure"],
        "keys": [{"key": "9", "then": "help"}],
        "tries": 1,
        "timeout": "bye",
        "invalid": "bye",
    }
    by_hand = {"schedule": schedule, "access_code": told["code"], "language": told["language"]}
    when = {"id": "when", "do": "schedule", "schedule": schedule, "open": "desk", "closed": "closed"}
    return {
        "applications": [
            _application(told),
            {"number": told["close"], "kind": "schedule_closed", **by_hand},
            {"number": told["reopen"], "kind": "schedule_automatic", **by_hand},
        ],
        "schedules": [
            {
                "id": schedule,
                "hours": [{"days": [*_WEEK], "from": "00:00", "to": "24:00"}],
                "public_holidays": "none",
            }
        ],
        "flows": [
            _flow(
                told,
                when | {"holiday": "closed"},
                _call("desk", told["desk"], "nobody"),
                menu,
                _call("help", told["help"], "nobody"),
                _bye("nobody", "nobody"),
                _bye("bye", "goodbye"),
            )
        ],
    }


_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = {
    "opens": Setting("09:00", "time"),
    "closes": Setting("17:30", "time"),
    "holidays": Setting("jp", "holidays"),
}


def _settings(template_id: str, number: str, **more: Setting) -> dict[str, Setting]:
    return {
        "id": Setting(template_id, "id"),
        "number": Setting(number, "number"),
        "language": Setting("ja", "language"),
        "desk": Setting("201", "number"),
        **more,
    }


TEMPLATES: dict[str, Template] = {
    one.name: one
    for one in (
        Template(
            "reception",
            _settings("reception", "700", sales=Setting("600", "number"), support=Setting("600", "number")),
            _reception,
        ),
        Template("out-of-hours", _settings("out-of-hours", "710", **_HOURS), _out_of_hours),
        Template(
            "contact-centre",
            _settings(
                "contact-centre",
                "720",
                agents=Setting("201 202", "numbers"),
                wait_s=Setting("300", "seconds"),
                **_HOURS,
            ),
            _contact_centre,
        ),
        Template(
            "emergency-closure",
            _settings(
                "emergency-closure",
                "730",
                help=Setting("201", "number"),
                close=Setting("*62", "number"),
                reopen=Setting("*63", "number"),
                code=Setting("", "code"),
            ),
            _emergency_closure,
        ),
    )
}
