"""Which words a call's end gets: the slug of a Q.850 cause for a SIP reply code, as FreeSWITCH and RFC 3398 map them.

Pure table. The CDR's field `cause` takes its values from here and from the box's own `Cause` words.
"""

from enum import StrEnum


class Cause(StrEnum):
    """Ends that are no reply of the callee. The first six are Q.850 words, the others the box's own."""

    NORMAL_CLEARING = "normal_clearing"
    ORIGINATOR_CANCEL = "originator_cancel"
    USER_BUSY = "user_busy"
    NO_ANSWER = "no_answer"
    NETWORK_OUT_OF_ORDER = "network_out_of_order"
    RECOVERY_ON_TIMER_EXPIRE = "recovery_on_timer_expire"
    PREEMPTED = "preempted"
    MEDIA_TIMEOUT = "media_timeout"
    MEDIA_LOST = "media_lost"
    DIALOG_TIMEOUT = "dialog_timeout"
    PEER_VANISHED = "peer_vanished"


_SLUGS = {
    400: "interworking",
    401: "call_rejected",
    402: "call_rejected",
    403: "call_rejected",
    404: "unallocated_number",
    405: "service_unavailable",
    406: "service_not_implemented",
    407: "call_rejected",
    408: "recovery_on_timer_expire",
    410: "number_changed",
    413: "interworking",
    414: "interworking",
    415: "service_not_implemented",
    420: "interworking",
    480: "no_user_response",
    481: "normal_temporary_failure",
    482: "exchange_routing_error",
    483: "exchange_routing_error",
    484: "invalid_number_format",
    485: "no_route_destination",
    486: "user_busy",
    487: "originator_cancel",
    488: "incompatible_destination",
    500: "normal_temporary_failure",
    501: "service_not_implemented",
    502: "network_out_of_order",
    503: "service_unavailable",
    504: "recovery_on_timer_expire",
    600: "user_busy",
    603: "call_rejected",
    604: "no_route_destination",
    606: "incompatible_destination",
}
"""RFC 3398 section 8.2.6.1, with FreeSWITCH's `switch_channel` words where the RFC leaves a choice."""


def cause_of(code: int) -> str:
    """The cause slug for a final SIP reply code; every code has one."""
    if 200 <= code < 300:
        return Cause.NORMAL_CLEARING
    if code in _SLUGS:
        return _SLUGS[code]
    if 300 <= code < 400:
        return "no_route_destination"
    return "call_rejected" if code >= 600 else "interworking" if code < 500 else "normal_temporary_failure"
