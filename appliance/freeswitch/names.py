"""Names that FreeSWITCH's configuration and those who talk to it have to agree on. Pure."""

PROFILE = "box"
"""The SIP profile towards Kamailio."""

ENTRY = "box"
"""Dialplan context of calls that Kamailio sends."""

SCHEDULES = "schedules"
"""Dialplan context with one entry for each schedule; leaves its answer in `SCHEDULE_STATE`."""

SCHEDULE_STATE = "ky_schedule"
OVERRIDE = "ky_override_"
"""Global variable of a schedule's manual state; absent: the schedule decides."""

BY_HAND = "by-hand"
"""Dialplan context with what was set by hand before FreeSWITCH started; leaves its answer in `HAND_STATE`."""

HAND_STATE = "ky_by_hand"

VARIABLE = "kyf_"
"""Before the name of every variable that a flow sets, so that none can be one of FreeSWITCH's own."""

DIGITS = "ky_digits"
"""What a caller pressed last."""

ENTERED = "ky_entered"
"""Of a call in a flow: the application's number by which it came in."""

LINK_HEADER = "sip_h_X-Kyusai-Link"
"""Kamailio's word on the line to the cloud when the call came."""

CALL_HEADER = "X-Kyusai-Call"
"""Names the call that an outgoing leg belongs to: its Call-ID as Kamailio knows it."""

STAY_EVENT = "kyusai::stay"
"""Event by which a dialplan tells the controller that its call came to a place or left it: headers Kyusai-What (such as
"queue"), Kyusai-Name and Kyusai-Change ("begin" or "end")."""

CONTROL = "control"
"""Dialplan context of what the controller orders; no call from outside gets there."""

CALL_NUMBER = "call-"
"""In that context: before a number that a leg is connected with."""

KAMAILIO = "ky_kamailio"
"""Global variable: "address:port" of Kamailio's socket for applications."""

DOMAIN = "ky_domain"
"""Global variable: domain of voicemail boxes."""

RECORDED_ROOM, RECORDABLE_ROOM = "recorded", "recordable"
"""Profiles of conference rooms that are recorded from beginning to end, and of those where a key does it."""

HOLD_MUSIC = "hold_music"
"""Global variable, FreeSWITCH's own: what callers on hold hear."""

CALL_BACK = "call-back"
"""Dialplan context of numbers that the owner of a voicemail box has called back from its menu."""

BEHALF_HEADER = "X-Kyusai-Behalf"
"""Names the extension whose rights hold for an outgoing leg: FreeSWITCH has its PIN."""

PLAIN_HEADER = "X-Kyusai-Plain"
"""On an outgoing leg: the extension itself is called, its forwardings do not count."""

ANNOUNCED_HEADER = "X-Kyusai-Announced"
"""On a call to FreeSWITCH, and on an outgoing leg: the caller has been told that the call is recorded."""

VOICEMAIL_LOCK = "ky_vm_lock_"
VOICEMAIL_TRIES = "ky_vm_tries_"
"""Global variables, before a box's number: "true" while it is locked; an x for each call that did not bring its PIN."""

CODE_LOCK = "ky_code_lock_"
CODE_TRIES = "ky_code_tries_"
"""Global variables, before an application's number: "true" while its code is locked; an x for each wrong one."""

VOICEMAIL_FULL = "ky_vm_full_"
VOICEMAIL_NO_ROOM = "ky_vm_no_room"
"""Global variables: "true" while a box holds all messages that it may, and while the disk is short of room."""

VOICEMAIL_CONTEXT, NOT_STORED = "voicemail", "not-stored"
"""Dialplan context around voicemail boxes; in it: tells a caller that what he said could not be stored."""

ROOM_NOT_STORED = "ky_room_not_stored_"
"""Global variables, before a recorded room's number: the audio file that tells it that its recording has ended."""

NAME_HEADER = "X-Kyusai-Name"
"""The caller's name in hexadecimal digits, from Kamailio to Kamailio: FreeSWITCH hands it on and never reads it."""

CLERK = "ky_clerk"
"""Global variable: "address:port" of the box's clerk, which answers what a dialplan cannot know."""

QUESTION, ANSWER = "ky_question", "ky_answer"
"""Of a call to the clerk: what it wants to know, and what is to be done."""

QUEUE_SINCE, AGENT, PLACE = "ky_queue_since", "ky_agent", "ky_place"
"""Of a call in a queue: when it came (UTC seconds), who is rung, how many are before it and it."""

QUEUE_FIGURES = {
    "queue_waiting": "ky_queue_waiting",
    "queue_agents": "ky_queue_agents",
    "queue_longest_s": "ky_queue_longest_s",
}
"""What a branch looks at -> variable in which the clerk writes it."""

MEDIA_USER = "kyusai"
"""User part of addresses that stand for the applications themselves."""


def flow_context(flow_id: str) -> str:
    """Dialplan context of a flow."""
    return f"flow-{flow_id}"


def override(schedule_id: str) -> str:
    """Global variable that holds a schedule's manual state."""
    return OVERRIDE + schedule_id
