"""What FreeSWITCH does for feature codes, and the sentences that Kamailio has it speak, as parts of the entry dialplan. Pure.

Kamailio calls a feature by its id (`FEATURE_USER`), whatever code the site gives it. A feature of FreeSWITCH's is one row
in `_FEATURES`: a function of the plan and its prompts that gives the dialplan's extensions.
"""

from collections.abc import Callable, Mapping

from appliance.freeswitch import by_hand_xml, code_xml, directory_xml, flow_xml, names, voicemail_xml
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.flow_xml import Prompts
from appliance.freeswitch.pickup_xml import extensions as meetings
from appliance.freeswitch.prompt_texts import GENERAL
from appliance.freeswitch.quoting import word
from appliance.freeswitch.xml import Element, Node, action, element
from appliance.kamailio.features import SAID, SAY
from appliance.kamailio.view import FEATURE_USER

SPELL = "spell-"
"""Within FreeSWITCH: before digits that are spoken one after the other, then the end."""

SPELT_MAX = 20
"""Digits of the longest number that is spelt."""

AD_HOC = "room-adhoc-"
"""Before an extension: the room that is its."""

ECHO_MAX_S = 300
"""Somebody who forgets an echo test does not keep a call for ever."""

PROMPTS = (
    SAID | GENERAL | {"your_number", "echo_begins", "goodbye"} | {f"number_{digit}" for digit in range(10)}
)
"""All that features may say."""


def extensions(plan: MediaPlan, prompts: Prompts) -> tuple[Node, ...]:
    """For the context of Kamailio's calls: features in force, and what is said for Kamailio."""
    language = plan.feature_language
    said = [extension(SAY + name, *says(prompts, language, name)) for name in sorted(SAID)]
    performed = [
        node for one in plan.features if one.id in _FEATURES for node in _FEATURES[one.id](plan, prompts)
    ]
    return (*said, *performed, *_spelling(plan, prompts), *meetings())


def extension(user: str, *actions: Element, pattern: str = "") -> Element:
    """A dialplan extension for a user part. pattern: regular expression of what follows it."""
    expression = f"^{word(user)}{pattern}$"
    return element(
        "extension",
        element("condition", *actions, field="destination_number", expression=expression),
        name=user,
    )


def says(prompts: Prompts, language: str, *said: str) -> tuple[Element, ...]:
    """Answer, speak, hang up."""
    spoken = (action("playback", word(prompts[name, language])) for name in said)
    return (action("answer"), action("sleep", "300"), *spoken, *flow_xml.goodbye())


def user_of(feature_id: str) -> str:
    """What Kamailio calls a feature by."""
    return FEATURE_USER + feature_id


def _own_voicemail(plan: MediaPlan, prompts: Prompts) -> tuple[Node, ...]:
    return voicemail_xml.own_box(user_of("voicemail_own"), plan.mailboxes) if plan.mailboxes else ()


def _echo(plan: MediaPlan, prompts: Prompts) -> tuple[Node, ...]:
    begins = word(prompts["echo_begins", plan.feature_language])
    return (
        extension(
            user_of("echo"),
            action("answer"),
            action("sched_hangup", f"+{ECHO_MAX_S} NORMAL_CLEARING"),
            action("playback", begins),
            action("echo"),
        ),
    )


def _announce_number(plan: MediaPlan, prompts: Prompts) -> tuple[Node, ...]:
    """The caller is told which extension calls. Kamailio has proved who that is."""
    yours = word(prompts["your_number", plan.feature_language])
    number = element(
        "condition",
        action("answer"),
        action("sleep", "300"),
        action("playback", yours),
        action("transfer", f"{SPELL}$1 XML {names.ENTRY}"),
        field="caller_id_number",
        expression=f"^([0-9]{{1,{SPELT_MAX}}})$",
    )
    here = element("condition", field="destination_number", expression=f"^{user_of('announce_number')}$")
    return (element("extension", here, number, name="announce_number"),)


def _spelling(plan: MediaPlan, prompts: Prompts) -> tuple[Element, ...]:
    """Digit by digit, each transferring to the rest."""
    digits = (
        extension(
            f"{SPELL}{digit}",
            action("playback", word(prompts[f"number_{digit}", plan.feature_language])),
            action("transfer", f"{SPELL}$1 XML {names.ENTRY}"),
            pattern=f"([0-9]{{0,{SPELT_MAX}}})",
        )
        for digit in range(10)
    )
    return (*digits, extension(SPELL, *flow_xml.goodbye()))


def _directory(plan: MediaPlan, prompts: Prompts) -> tuple[Node, ...]:
    return (extension(user_of("directory"), *directory_xml.entry(plan.feature_language)),)


def _conference(plan: MediaPlan, prompts: Prompts) -> tuple[Node, ...]:
    """Each extension has a room: whoever talks to two people transfers both to it and dials it himself. A tone tells those inside
    of everybody who enters."""
    room = action("conference", f"{AD_HOC}$1@default")
    return (
        extension(
            user_of("conference"), action("answer"), action("sleep", "300"), room, pattern="-([0-9]{2,10})"
        ),
    )


def _by_hand(kind: str) -> Callable[[MediaPlan, Prompts], tuple[Node, ...]]:
    """Asks for the code of a schedule; where none has one, nobody may."""

    def features(plan: MediaPlan, prompts: Prompts) -> tuple[Node, ...]:
        if any(one.access_code for one in plan.schedules):
            return (extension(user_of(kind), *code_xml.entry(kind, user_of(kind))),)
        return (extension(user_of(kind), *says(prompts, plan.feature_language, "not_allowed")),)

    return features


_FEATURES: Mapping[str, Callable[[MediaPlan, Prompts], tuple[Node, ...]]] = {
    "voicemail_own": _own_voicemail,
    "echo": _echo,
    "directory": _directory,
    "conference": _conference,
    "announce_number": _announce_number,
    **{kind: _by_hand(kind) for kind in by_hand_xml.STATES},
}
