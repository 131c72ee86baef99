"""The sentence that tells of recording, before anybody is rung: part of the dialplan. Pure.

`appliance.kamailio.announcement` says who is told and how. Where FreeSWITCH calls on itself, Kamailio knows by the Call-ID whom
that is for: no number of a caller's is in here. What could not be played is told Kamailio too, which then records nothing.
"""

from appliance.freeswitch import flow_xml, names
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.flow_parts_xml import Prompts
from appliance.freeswitch.quoting import word
from appliance.freeswitch.signals import RINGING
from appliance.freeswitch.voicemail_login_xml import number_extension
from appliance.freeswitch.xml import Element, action, element
from appliance.kamailio.announcement import ANNOUNCED, CALL_MAX_S, SAID_CODE, UNANNOUNCED, USER, YES, Way

CONTEXT = "announcement"

LEAD_MS = 300
"""The way to the caller's ear opens with the first packets."""

HEADER = f"sip_h_{names.ANNOUNCED_HEADER}"
RESULT = "ky_announcement"
PLAYED = (f"${{{RESULT}}}", "^FILE PLAYED$")
"""What `playback` leaves behind until the next application begins (mod_dptools.c): not so for a file that is not there."""

GO_ON = "ky_go_on"
"""Whom FreeSWITCH calls to go on: `ANNOUNCED` or `UNANNOUNCED`."""

CALLING_ON = (Way.ANSWER, Way.EARLY, Way.BOTH)

FAILURES = frozenset({"ref_busy", "ref_unreachable"})
"""Said to who was answered already, in place of the reply that he would have got."""


def extensions(plan: MediaPlan) -> tuple[Element, ...]:
    """For the context of Kamailio's calls; none where nobody is told."""
    if not plan.announcement:
        return ()
    ways = "|".join((Way.SAID, *CALLING_ON))
    return (number_extension(f"{USER}({ways})", action("transfer", f"begin-$1 XML {CONTEXT}")),)


def arrival() -> Element:
    """A call whose caller has been told stays one, whatever application calls on: for the context of Kamailio's calls."""
    return element(
        "extension",
        element(
            "condition",
            action("export", f"nolocal:{HEADER}={YES}"),
            field=f"${{{HEADER}}}",
            expression=f"^{YES}$",
        ),
        name="announced",
        continue_="true",
    )


def context(plan: MediaPlan, prompts: Prompts) -> tuple[Element, ...]:
    """The context; its sentences are in the language of the site's features."""
    if not plan.announcement:
        return ()

    def said(name: str) -> str:
        return word(prompts[name, plan.feature_language])

    sentence = said(plan.announcement)
    told = [one for way in (Way.SAID, *CALLING_ON) for one in _told(way, sentence)]
    return (
        element(
            "context",
            *told,
            number_extension("judge-said", action("respond", str(SAID_CODE)), when=PLAYED),
            number_extension("judge-said", action("respond", "503")),
            *(one for way in CALLING_ON for one in _called(way, sentence)),
            number_extension(
                "failed",
                action("playback", said("ref_busy")),
                *flow_xml.goodbye(),
                when=("${originate_disposition}", "^USER_BUSY$"),
            ),
            number_extension("failed", action("playback", said("ref_unreachable")), *flow_xml.goodbye()),
            name=CONTEXT,
        ),
    )


def _told(way: Way, sentence: str) -> tuple[Element, ...]:
    opened = "answer" if way is Way.ANSWER else "pre_answer"
    return (
        number_extension(
            f"begin-{way}",
            action(opened),
            action("sleep", str(LEAD_MS)),
            action("playback", sentence),
            action("set", f"{RESULT}=${{current_application_response}}"),
            action("transfer", f"judge-{way} XML {CONTEXT}"),
        ),
    )


def _called(way: Way, sentence: str) -> tuple[Element, ...]:
    """An answered caller is told why nobody came; any other gets the reply."""
    bridge = f"sofia/{names.PROFILE}/${{{GO_ON}}}@${{{names.KAMAILIO}}}"
    if way is Way.BOTH:
        bridge = f"{{group_confirm_key=exec,group_confirm_file=playback {sentence}}}{bridge}"
    return (
        number_extension(
            f"judge-{way}",
            action("set", f"{GO_ON}={ANNOUNCED}"),
            action("transfer", f"call-{way} XML {CONTEXT}"),
            when=PLAYED,
        ),
        number_extension(
            f"judge-{way}",
            action("set", f"{GO_ON}={UNANNOUNCED}"),
            action("transfer", f"call-{way} XML {CONTEXT}"),
        ),
        number_extension(
            f"call-{way}",
            action("set", "hangup_after_bridge=true"),
            action("set", f"continue_on_fail={'true' if way is Way.ANSWER else 'false'}"),
            action("set", f"call_timeout={CALL_MAX_S}"),
            action("set", f"ringback={RINGING}"),
            action("set", f"transfer_ringback={RINGING}"),
            action("export", f"nolocal:sip_h_{names.CALL_HEADER}=${{sip_call_id}}"),
            action("bridge", bridge),
            action("transfer", f"failed XML {CONTEXT}"),
        ),
    )
