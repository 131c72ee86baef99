"""The site document's part of FreeSWITCH's configuration: dialplan, directory, time zone, as file texts. Pure."""

from collections.abc import Callable, Iterator

from appliance.freeswitch import (
    announcement_xml,
    by_hand_xml,
    callback_xml,
    code_xml,
    control_xml,
    directory_xml,
    flow_xml,
    languages_xml,
    moved_xml,
    names,
    refusal_xml,
    schedule_xml,
    screening_xml,
    voicemail_login_xml,
    voicemail_xml,
)
from appliance.freeswitch.applications import RECORDS, Application, Kind, MediaPlan
from appliance.freeswitch.feature_xml import extensions as feature_extensions
from appliance.freeswitch.flow_xml import Prompts
from appliance.freeswitch.prompt_texts import LANGUAGES
from appliance.freeswitch.quoting import word
from appliance.freeswitch.settings_xml import HOLD_MUSIC
from appliance.freeswitch.xml import Element, Global, action, element, text

JITTER_BUFFER_MS = "60:200:20"
"""Begins with 60 ms and grows to 200: what a wireless telephone needs."""

PARKING_LOT = "site"


def files(
    plan: MediaPlan, prompts: Prompts, posix_zone: str, this_year: int, folder: str = "/nowhere"
) -> dict[str, str]:
    """File name -> text. prompts: see `flow_xml.Prompts`. posix_zone: rule of the site's time zone, such as "JST-9".
    folder: of prompts."""
    contexts = [
        entry_context(plan, prompts),
        *(flow_xml.context(flow, flow_xml.Rendering(plan, prompts, this_year)) for flow in plan.flows),
        schedule_xml.context(plan.schedules, plan.time_zone, this_year),
        control_xml.context(),
        code_xml.context((*_guarded(plan, prompts), *by_hand_xml.guarded(plan, prompts)), prompts),
        voicemail_login_xml.context(plan.mailboxes),
        voicemail_login_xml.call_back(),
        *directory_xml.contexts(plan, prompts),
        screening_xml.context(plan, prompts),
        callback_xml.context(),
        *announcement_xml.context(plan, prompts),
        moved_xml.gone(),
    ]
    return {
        "globals.xml": text(
            Global(names.DOMAIN, plan.domain or "box.invalid"),
            Global(names.HOLD_MUSIC, _music(plan, prompts)),
            # For dates that are said, and voicemail's word on who has called.
            Global("timezone", plan.time_zone),
            Global("vm_announce_cid", "true"),
            *(
                Global(
                    names.ROOM_NOT_STORED + word(one.number), word(prompts["room_not_stored", one.language])
                )
                for one in plan.applications
                if one.kind is Kind.CONFERENCE and one.record != RECORDS[0]
            ),
        ),
        "dialplan.xml": text(*contexts),
        "configuration.xml": text(schedule_xml.time_zones(plan.time_zone, posix_zone)),
        "directory.xml": text(voicemail_xml.directory(plan.mailboxes, plan.domain or "box.invalid")),
        "languages.xml": text(languages_xml.section(plan, prompts, folder)),
    }


def entry_context(plan: MediaPlan, prompts: Prompts) -> Element:
    """Where Kamailio's calls come in: one extension an application. Nothing else can be reached from outside."""
    applications = [
        element(
            "extension",
            element(
                "condition",
                *(
                    code_xml.entry(one.number, one.number)
                    if _has_code(one)
                    else _KINDS[one.kind](plan, one, prompts)
                ),
                field="destination_number",
                expression=f"^{_literal(one.number)}$",
            ),
            name=one.name or one.number,
        )
        for one in plan.applications
        if one.kind is not Kind.VOICEMAIL
    ]
    boxes = [
        *voicemail_xml.extensions(plan.mailboxes),
        *(
            extension
            for one in plan.applications
            if one.kind is Kind.VOICEMAIL
            for extension in voicemail_xml.own_box(one.number, plan.mailboxes)
        ),
    ]
    nobody = element(
        "extension",
        element(
            "condition", action("hangup", "UNALLOCATED_NUMBER"), field="destination_number", expression="^"
        ),
        name="nobody",
    )
    features = (
        *feature_extensions(plan, prompts),
        *refusal_xml.extensions(plan, prompts),
        *screening_xml.extensions(plan),
        *callback_xml.extensions(plan, prompts),
        *announcement_xml.extensions(plan),
    )
    first = (_arrival(), announcement_xml.arrival(), _smooth(plan), _clean_names())
    last = (moved_xml.removed(plan.feature_language, prompts), nobody)
    return element("context", *first, *applications, *boxes, *features, *last, name=names.ENTRY)


def _arrival() -> Element:
    """What holds for every call."""
    # What a caller wrote into headers of his own is not passed on to whom an application calls.
    private = action("set", "sip_copy_custom_headers=false", inline="true")
    always = element("condition", private, field="destination_number", expression="^")
    return element("extension", always, name="arrival", continue_="true")


def _smooth(plan: MediaPlan) -> Element:
    """A jitter buffer where a caller's voice is mixed or recorded: in rooms and for messages. Who only listens needs none, and a
    buffer for each costs a third of a call's processor time and memory; two telephones that are connected have their own.
    A call that is answered already gets it by the application, any other when it is answered."""
    rooms = [_literal(one.number) for one in plan.applications if one.kind is Kind.CONFERENCE]
    spoken_at = "|".join([*rooms, f"{_literal(voicemail_xml.CODE)}.+"])
    smooth = element(
        "condition",
        action("set", f"jitterbuffer_msec={JITTER_BUFFER_MS}", inline="true"),
        action("jitterbuffer", JITTER_BUFFER_MS),
        field="destination_number",
        expression=f"^(?:{spoken_at})$",
    )
    return element("extension", smooth, name="smooth", continue_="true")


def _clean_names() -> Element:
    """A caller's name that FreeSWITCH would read as an instruction, if any application ever named it, is taken away."""
    odd = element(
        "condition",
        action("set_profile_var", "caller_id_name=", inline="true"),
        field="caller_id_name",
        expression="[$%\\\\{}\\x00-\\x1f]",
    )
    return element("extension", odd, name="clean-names", continue_="true")


def _literal(number: str) -> str:
    return word(number).replace("*", "[*]")


def _flow(plan: MediaPlan, one: Application, prompts: Prompts) -> tuple[Element, ...]:
    flow = plan.flow(one.flow)
    return flow_xml.entry(flow, one.number) if flow else (action("hangup", "UNALLOCATED_NUMBER"),)


def _announcement(plan: MediaPlan, one: Application, prompts: Prompts) -> tuple[Element, ...]:
    spoken = [action("playback", word(prompts[name, one.language])) for name in one.prompts]
    return (action("answer"), *spoken, *flow_xml.goodbye())


def _conference(plan: MediaPlan, one: Application, prompts: Prompts) -> tuple[Element, ...]:
    """A room; one that has a code is entered by way of `code_xml`."""
    profile, told = _ROOMS[one.record]
    announced = [action("playback", word(prompts[name, one.language])) for name in told]
    room = action("conference", f"room-{word(one.number)}@{profile}")
    return (action("answer"), *announced, room)


def _has_code(one: Application) -> bool:
    return bool(one.access_code) and one.kind in (Kind.CONFERENCE, *by_hand_xml.STATES)


def _guarded(plan: MediaPlan, prompts: Prompts) -> Iterator[code_xml.Guarded]:
    for one in plan.applications:
        if _has_code(one):
            opened = _KINDS[one.kind](plan, one, prompts)
            yield code_xml.Guarded(one.number, ((one.access_code, opened),), one.language, one.number)


def _music(plan: MediaPlan, prompts: Prompts) -> str:
    """What callers hear on hold: the site's own, or the box's."""
    own = (prompts.get((plan.music, language)) for language in (plan.feature_language, *LANGUAGES))
    return next((word(path) for path in own if path), HOLD_MUSIC)


def _parking(plan: MediaPlan, one: Application, prompts: Prompts) -> tuple[Element, ...]:
    """The first who dials the number (or is transferred to it) waits there, the next one gets him. A call that nobody fetches
    goes to the fallback, or ends."""
    place = word(one.number)
    back = f"{names.CALL_NUMBER}{word(one.fallback)}" if one.fallback else "hang-up"
    return (
        action("answer"),
        action("set", f"valet_parking_timeout={one.return_s}"),
        action("set", f"valet_parking_orbit_exten={back}"),
        action("set", f"valet_parking_orbit_context={names.CONTROL if one.fallback else names.ENTRY}"),
        action("set", "valet_parking_orbit_dialplan=XML"),
        action("set", f"valet_hold_music=${{{names.HOLD_MUSIC}}}"),
        action("valet_park", f"{PARKING_LOT} {place}"),
    )


def _directory(plan: MediaPlan, one: Application, prompts: Prompts) -> tuple[Element, ...]:
    return (moved_xml.entered(one.number), *directory_xml.entry(one.language))


def _by_hand(plan: MediaPlan, one: Application, prompts: Prompts) -> tuple[Element, ...]:
    return by_hand_xml.actions((one.schedule,), one.kind, one.language, prompts)


_ROOMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "none": ("default", ()),
    "all": (names.RECORDED_ROOM, ("room_recorded",)),
    "key": (names.RECORDABLE_ROOM, ("room_recordable",)),
}
"""A room's profile, and what whoever enters is told."""


_KINDS: dict[Kind, Callable[[MediaPlan, Application, Prompts], tuple[Element, ...]]] = {
    Kind.FLOW: _flow,
    Kind.ANNOUNCEMENT: _announcement,
    Kind.CONFERENCE: _conference,
    Kind.PARKING: _parking,
    Kind.DIRECTORY: _directory,
    Kind.SCHEDULE_OPEN: _by_hand,
    Kind.SCHEDULE_CLOSED: _by_hand,
    Kind.SCHEDULE_AUTOMATIC: _by_hand,
}
