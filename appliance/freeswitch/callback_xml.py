"""Call-back on busy: FreeSWITCH asks again and again for the caller's telephone, and connects it when it answers. Pure.

The asking is FreeSWITCH's own `originate` with retries, ordered when the caller hangs up: no process of ours, and no leg while it
waits. Kamailio answers busy until both are free, and 404 when the wish was cancelled, fulfilled, or is too old.
"""

from appliance.freeswitch import flow_xml, names
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.flow_parts_xml import Prompts
from appliance.freeswitch.quoting import word
from appliance.freeswitch.voicemail_login_xml import number_extension
from appliance.freeswitch.xml import Element, action, element
from appliance.kamailio.callback import AGAIN, CANCEL, LIFE_S, SET, USER
from appliance.kamailio.view import FEATURE_USER

CONTEXT = "callback"

EVERY_S = 20
"""FreeSWITCH takes at most 100 retries (switch_ivr_originate.c)."""

RING_S = 20
"""Of the caller's own telephone; it is asked for again afterwards."""

TRIES = LIFE_S // EVERY_S

PROMPTS = frozenset({"callback_set", "callback_none", "callback_cancelled"})


def extensions(plan: MediaPlan, prompts: Prompts) -> tuple[Element, ...]:
    """For the context of Kamailio's calls."""

    def said(name: str) -> tuple[Element, ...]:
        return (
            action("answer"),
            action("sleep", "300"),
            action("playback", word(prompts[name, plan.feature_language])),
        )

    told = (
        "ignore_early_media=true",
        f"originate_retries={TRIES}",
        f"originate_retry_sleep_ms={EVERY_S * 1000}",
        f"originate_timeout={RING_S}",
        "origination_caller_id_number=$2",
        f"sip_h_{names.PLAIN_HEADER}=1",
    )
    leg = f"{{{','.join(told)}}}sofia/{names.PROFILE}/{USER}$1-$2@${{{names.KAMAILIO}}}"
    order = f"bgapi originate {leg} connect-$1-$2 XML {CONTEXT}"
    user = FEATURE_USER + SET
    return (
        number_extension(
            f"{user}-([0-9]{{2,10}})-([0-9]{{2,10}})",
            action("set", f"api_hangup_hook={order}"),
            *said("callback_set"),
            *flow_xml.goodbye(),
        ),
        number_extension(f"{user}-{AGAIN}", *said("callback_set"), *flow_xml.goodbye()),
        number_extension(user, *said("callback_none"), *flow_xml.goodbye()),
        number_extension(FEATURE_USER + CANCEL, *said("callback_cancelled"), *flow_xml.goodbye()),
    )


def context() -> Element:
    """Where the caller's telephone comes to when it has answered."""
    return element(
        "context",
        number_extension(
            "connect-([0-9]{2,10})-([0-9]{2,10})",
            action("export", f"nolocal:sip_h_{names.BEHALF_HEADER}=$1"),
            *flow_xml.call("$2", 60),
            action("hangup", "NO_ANSWER"),
        ),
        name=CONTEXT,
    )
