"""Call screening: a caller says his name, the called person hears it and accepts, refuses or sends him to voicemail. Pure.

Kamailio sends such calls to `USER` and the extension. The telephone is called through Kamailio without its forwardings, so that
no voicemail is asked for a decision. One caller at a time is screened for an extension; the recorded name lies in the run
folder, where the next one takes its place.
"""

from appliance.freeswitch import flow_xml, names
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.flow_parts_xml import QUIET, Prompts
from appliance.freeswitch.quoting import word
from appliance.freeswitch.signals import RINGING
from appliance.freeswitch.voicemail_login_xml import number_extension
from appliance.freeswitch.xml import Element, action, element
from appliance.kamailio.screening import USER

CONTEXT = "screening"

NAME_MAX_S = 5
NAME_SILENCE_S = 2
RING_S = 25
KEY_MS = 6_000
TRIES = 3

ACCEPT, REFUSE, VOICEMAIL = "1", "2", "3"

FOR, KEY = "ky_screened_for", "ky_screen_key"
VERDICT = "ky_verdict_"
"""Global variable, before the caller's leg: what the called person pressed."""

PROMPTS = frozenset({"scr_say_name", "scr_call_from", "scr_choose", "please_wait", "ref_unreachable"})


def extensions(plan: MediaPlan) -> tuple[Element, ...]:
    """For the context of Kamailio's calls."""
    return (
        element(
            "extension",
            element(
                "condition",
                action("transfer", f"begin-$1 XML {CONTEXT}"),
                field="destination_number",
                expression=f"^{USER}([0-9]{{2,10}})$",
            ),
            name="screening",
        ),
    )


def context(plan: MediaPlan, prompts: Prompts) -> Element:
    """The context; its sentences are in the language of the site's features."""

    def said(name: str) -> str:
        return word(prompts[name, plan.feature_language])

    told = f"file_string://{said('scr_call_from')}!${{ky_name_file}}!{said('scr_choose')}"
    asked = f"1 1 {TRIES} {KEY_MS} none {told} {QUIET} {KEY} ^[{ACCEPT}{REFUSE}{VOICEMAIL}]$ {KEY_MS}"
    verdict = f"${{{VERDICT}${{uuid}}}}"
    confirm = f"group_confirm_key=exec,group_confirm_file=execute_extension ask XML {CONTEXT}"
    return element(
        "context",
        number_extension(
            "begin-([0-9]{2,10})",
            action("answer"),
            action("set", f"{FOR}=$1"),
            action("set", f"ky_name_file=${{temp_dir}}/{USER}$1.wav"),
            action("limit", f"hash screening $1 1 busy XML {CONTEXT}"),
            action("sleep", "300"),
            action("playback", said("scr_say_name")),
            action("playback", "tone_stream://%(300,0,640)"),
            action("record", f"${{ky_name_file}} {NAME_MAX_S} 200 {NAME_SILENCE_S}"),
            action("playback", said("please_wait")),
            action("set", "hangup_after_bridge=true"),
            action("set", "continue_on_fail=true"),
            action("set", f"call_timeout={RING_S}"),
            action("set", f"ringback={RINGING}"),
            action("export", "nolocal:ky_name_file=${ky_name_file}"),
            action("export", "nolocal:ky_caller_leg=${uuid}"),
            action("export", f"nolocal:sip_h_{names.CALL_HEADER}=${{sip_call_id}}"),
            action("export", f"nolocal:sip_h_{names.NAME_HEADER}=${{sip_h_{names.NAME_HEADER}}}"),
            action("export", f"nolocal:sip_h_{names.PLAIN_HEADER}=1"),
            action("bridge", f"{{{confirm}}}sofia/{names.PROFILE}/${{{FOR}}}@${{{names.KAMAILIO}}}"),
            action("transfer", f"after XML {CONTEXT}"),
        ),
        number_extension(
            "ask",
            action("unset", KEY),
            action("play_and_get_digits", asked),
            action("set_global", f"{VERDICT}${{ky_caller_leg}}=${{{KEY}}}"),
            action("execute_extension", f"verdict XML {CONTEXT}"),
        ),
        number_extension("verdict", action("set", "ky_accepted=true"), when=(f"${{{KEY}}}", f"^{ACCEPT}$")),
        number_extension("verdict", action("hangup", "CALL_REJECTED")),
        number_extension(
            "after",
            action("set_global", f"{VERDICT}${{uuid}}="),
            action("set", "continue_on_fail=false"),
            action("transfer", f"*98${{{FOR}}} XML {names.ENTRY}"),
            when=(verdict, f"^{VOICEMAIL}$"),
        ),
        number_extension(
            "after",
            action("set_global", f"{VERDICT}${{uuid}}="),
            action("playback", said("ref_unreachable")),
            *flow_xml.goodbye(),
        ),
        number_extension("busy", action("playback", said("ref_unreachable")), *flow_xml.goodbye()),
        name=CONTEXT,
    )
