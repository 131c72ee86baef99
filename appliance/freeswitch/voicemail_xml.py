"""Voicemail: FreeSWITCH's own module, with our keys, our sentences and one folder a box. Pure.

Every phrase of the module is one whole sentence of ours, because the keys are ours too; numbers are prompts of their own. A
box is opened by its PIN (`voicemail_login_xml`), of which FreeSWITCH knows the digest alone (`vm-a1-hash`: MD5 of
"number:domain:PIN") until its owner changes it.
"""

from collections.abc import Iterable, Iterator, Mapping

from appliance.freeswitch import names, spoken_xml, voicemail_login_xml
from appliance.freeswitch.applications import Mailbox
from appliance.freeswitch.quoting import word
from appliance.freeswitch.xml import Element, Node, action, element, param
from appliance.kamailio.view import VOICEMAIL_CODE

CODE = VOICEMAIL_CODE

COUNTED_MAX = 30
"""Messages are counted aloud up to this many; beyond, "more than thirty"."""

MESSAGE_MIN_S, MESSAGE_MAX_S = 2, 300
SILENCE_ENDS_S = 5
BOX_MAX_S = 3_600
"""Speech that fits into one box: an hour."""

LOGINS_MAX = 3
"""Wrong PINs in one call; then the call ends."""

KEYS = {
    "terminator-key": "#",
    "play-new-messages-key": "1",
    "play-saved-messages-key": "2",
    "config-menu-key": "5",
    "main-menu-key": "0",
    "record-greeting-key": "1",
    "choose-greeting-key": "2",
    "record-name-key": "3",
    # The module would take a PIN of one digit: `voicemail_login_xml` asks for new ones. It looks for the main menu's key first.
    "change-pass-key": "0",
    "record-file-key": "3",
    "listen-file-key": "1",
    "save-file-key": "2",
    "delete-file-key": "7",
    "undelete-file-key": "8",
    "repeat-message-key": "1",
    "next-message-key": "6",
    "previous-message-key": "4",
    "pause-key": "0",
    "callback-key": "5",
    "skip-greet-key": "#",
    "skip-info-key": "1",
    "email-key": "9",
    "forward-key": "8",
    "urgent-key": "*",
    # Its own way in while the greeting plays would count nobody's wrong PINs; the star leads to ours.
    "login-keys": "",
    "vmain-key": "*",
    "vmain-extension": f"{voicemail_login_xml.REMOTE} XML {voicemail_login_xml.CONTEXT}",
}

BUSY, UNAVAILABLE = "busy", "unavailable"
GREETINGS = {UNAVAILABLE: 1, BUSY: 2}
"""Number of the greeting that the owner records for each."""

WHY = "sip_h_X-Kyusai-Why"
"""Kamailio's word on what led a call here."""

SENTENCES = {
    "voicemail_enter_id": "vm_enter_id",
    "voicemail_enter_pass": "vm_enter_pin",
    "voicemail_fail_auth": "vm_wrong_pin",
    "voicemail_abort": "vm_too_many",
    "voicemail_menu": "vm_menu",
    "voicemail_config_menu": "vm_settings",
    "voicemail_record_message": "vm_record",
    "voicemail_record_file_check": "vm_recorded",
    "voicemail_record_urgent_check": "vm_urgent",
    "voicemail_record_greeting": "vm_record_greeting",
    "voicemail_record_name": "vm_record_name",
    "voicemail_choose_greeting": "vm_choose_greeting",
    "voicemail_choose_greeting_fail": "invalid",
    "voicemail_greeting_selected": "vm_saved",
    "voicemail_change_pass_success": "vm_pin_changed",
    "voicemail_change_pass_fail": "vm_pin_not_changed",
    "voicemail_listen_file_check": "vm_listen",
    "voicemail_disk_quota_exceeded": "vm_full",
    "voicemail_invalid_extension": "no_such_number",
    **voicemail_login_xml.SENTENCES,
}
"""The module's phrases that are one sentence whatever they are told."""

SILENT = (
    "voicemail_hello",
    "voicemail_goodbye",
    "voicemail_say_number",
    "voicemail_say_name",
)

ACKNOWLEDGED = {
    "saved": "vm_saved",
    "deleted": "vm_deleted",
    "too-small": "vm_too_short",
    "marked-urgent": "vm_saved",
}

PROMPTS = frozenset(
    {
        *SENTENCES.values(),
        *ACKNOWLEDGED.values(),
        *(
            "vm_new",
            "vm_old",
            "vm_message",
            "vm_more",
            "vm_from",
            "vm_withheld",
            "vm_greeting",
            "vm_greeting_busy",
        ),
    }
) | {f"number_{number}" for number in range(COUNTED_MAX + 1)}
"""All that voicemail may say."""

Audio = Mapping[tuple[str, str], str]


def settings(folder: str) -> tuple[Element, ...]:
    """The module's configuration. folder: of messages."""
    values: tuple[tuple[str, object], ...] = (
        *KEYS.items(),
        ("storage-dir", folder),
        ("file-extension", "wav"),
        ("min-record-len", MESSAGE_MIN_S),
        ("max-record-len", MESSAGE_MAX_S),
        ("record-silence-threshold", 200),
        ("record-silence-hits", SILENCE_ENDS_S),
        ("max-login-attempts", LOGINS_MAX),
        ("digit-timeout", 10_000),
        ("max-retries", 3),
        ("tone-spec", "%(600,0,640)"),
        ("play-date-announcement", "first"),
        ("db-password-override", "true"),
        ("allow-empty-password-auth", "false"),
        ("callback-dialplan", "XML"),
        ("callback-context", names.CALL_BACK),
    )
    profile = element("profile", *(param(name, value) for name, value in values), name="default")
    return element("settings"), element("profiles", profile)


def macros(audio: Audio, language: str) -> Iterator[Element]:
    """The module's phrases, for FreeSWITCH's section "languages"."""
    for name, prompt in SENTENCES.items():
        yield _macro(name, _said("^", audio, language, prompt))
    for name in SILENT:
        yield _macro(name, element("input", element("match", _quiet()), pattern="^"))
    yield _macro(
        "voicemail_play_greeting",
        _said(f"^{BUSY}$", audio, language, "vm_greeting_busy"),
        _said("^", audio, language, "vm_greeting"),
    )
    yield _macro(
        "voicemail_say_phone_number",
        _said("^(?![+]?[0-9]{2,20}$)", audio, language, "vm_withheld"),
        spoken_xml.when(
            "^([+]?[0-9]+)$", *_played(audio, language, "vm_from"), spoken_xml.go("say_telephone")
        ),
    )
    yield _macro("voicemail_say_date", spoken_xml.when("^([0-9]+)$", spoken_xml.go("say_moment")))
    yield _macro(
        "voicemail_ack",
        *(_said(f"^{what}$", audio, language, prompt) for what, prompt in ACKNOWLEDGED.items()),
    )
    yield _macro("voicemail_message_count", *_counted(audio, language))
    numbers = (
        _said(f"^[a-z-]+:{number}$", audio, language, "vm_message", f"number_{number}")
        for number in range(COUNTED_MAX + 1)
    )
    yield _macro("voicemail_say_message_number", *numbers)


def _counted(audio: Audio, language: str) -> Iterator[Element]:
    """ "3:new", "2:saved"; what is not counted any more at the end."""
    for folder, prompt in (("(?:new|urgent-new)", "vm_new"), ("(?:saved|urgent-saved)", "vm_old")):
        for number in range(COUNTED_MAX + 1):
            yield _said(f"^{number}:{folder}$", audio, language, prompt, f"number_{number}")
        yield _said(f"^[0-9]+:{folder}$", audio, language, prompt, "vm_more")


def _said(pattern: str, audio: Audio, language: str, *prompts: str) -> Element:
    return spoken_xml.when(pattern, *_played(audio, language, *prompts))


def _played(audio: Audio, language: str, *prompts: str) -> list[Element]:
    return [element("action", function="play-file", data=word(audio[prompt, language])) for prompt in prompts]


def _quiet() -> Element:
    return element("action", function="play-file", data="silence_stream://20")


def _macro(name: str, *inputs: Element) -> Element:
    return Element("macro", {"name": name}, inputs)


def directory(boxes: Iterable[Mailbox], domain: str) -> Element:
    """Who has a box, and the digest of its PIN."""
    users = [
        element(
            "user",
            element("params", param("vm-a1-hash", box.code_md5), param("vm-disk-quota", BOX_MAX_S)),
            id=word(box.number),
        )
        for box in boxes
    ]
    return element("domain", *users, name=domain)


def extensions(boxes: tuple[Mailbox, ...]) -> tuple[Node, ...]:
    """For the context of Kamailio's calls: `CODE` and a box's number takes a message. The greeting is that for a busy
    telephone where that is why the call came."""
    found: list[Node] = []
    for box in boxes:
        here = element("condition", field="destination_number", expression=f"^[*]98{word(box.number)}$")
        for why, pattern in ((BUSY, "busy|disturb"), (UNAVAILABLE, "^")):
            when = element("condition", *leave(box, why), field=f"${{{WHY}}}", expression=pattern)
            found.append(element("extension", here, when, name=f"voicemail-{box.number}-{why}"))
    return tuple(found)


def leave(box: Mailbox, why: str) -> tuple[Element, ...]:
    """Actions that take a message for a box. why: `BUSY` or `UNAVAILABLE`."""
    return (
        action("answer"),
        action("set", f"default_language={box.language}"),
        action("set", f"{voicemail_login_xml.BOX}={word(box.number)}"),
        action("sleep", "300"),
        *voicemail_login_xml.room(),
        action("set", f"voicemail_alternate_greet_id={why}"),
        *((action("set", f"voicemail_greeting_number={GREETINGS[why]}"),) if why == BUSY else ()),
        action("voicemail", f"default ${{{names.DOMAIN}}} {word(box.number)}"),
        voicemail_login_xml.to("end"),
    )


def own_box(application: str, boxes: tuple[Mailbox, ...]) -> tuple[Node, ...]:
    """For the same context: the application's number opens the box of the extension that calls. Others are asked whose box
    they want. application: number."""
    dialled = word(application).replace("*", "[*]")
    here = element("condition", field="destination_number", expression=f"^{dialled}$")
    own = [
        element(
            "extension",
            here,
            element(
                "condition",
                *voicemail_login_xml.opened(box.number),
                field="caller_id_number",
                expression=f"^{word(box.number)}$",
            ),
            name=f"own-box-{box.number}",
        )
        for box in boxes
    ]
    asked = element(
        "extension",
        element(
            "condition",
            *voicemail_login_xml.asked(boxes[0].language if boxes else "ja"),
            field="destination_number",
            expression=f"^{dialled}$",
        ),
        name="any-box",
    )
    return (*own, asked)
