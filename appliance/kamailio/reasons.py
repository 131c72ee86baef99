"""The words a plan gives for its steps and refusals. Stable: they go into call records and reports.

A step of a forwarded call carries the forwarding first, joined by a dot: "forward_busy.gateway".
"""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a step is in the plan."""

    CLOUD_CONTROL = "cloud_control"  # call_control cloud: the cloud PBX decides
    CLOUD_TRUNK = "cloud_trunk"  # call_control local: the cloud is one of the trunks
    CLOUD_LAST_RESORT = "cloud_last_resort"  # the link looks down, nothing else is left
    EXTENSION = "extension"
    FROM_CLOUD = "from_cloud"  # the cloud asked for this extension: ring it, no features
    APPLICATION = "application"  # the box's FreeSWITCH answers
    SCREENING = "screening"  # the caller is asked for his name first
    RECORDED = "recorded"  # somebody is told that the call is recorded
    FEATURE = "feature"  # a feature code
    APPLICATION_AWAY = "application_away"  # it does not: the number that the site document names instead
    GROUP_ALL = "group_all"
    GROUP_TURN = "group_turn"
    GROUP_ROUND_ROBIN = "group_round_robin"
    GROUP_LONGEST_IDLE = "group_longest_idle"
    GATEWAY = "gateway"
    PUBLIC_NUMBER = "public_number"  # another site's extension by way of the public network
    EMERGENCY = "emergency"
    EMERGENCY_OTHER = "emergency_other_gateway"
    EMERGENCY_CLOUD = "emergency_cloud"
    FORWARD_ALWAYS = "forward_always"
    FORWARD_BUSY = "forward_busy"
    FORWARD_NO_ANSWER = "forward_no_answer"
    FORWARD_DO_NOT_DISTURB = "forward_do_not_disturb"
    OVERFLOW = "overflow"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply that ends the call. final: a rule says so, hence nothing else may be tried before it."""

    code: int
    reason: str
    final: bool = True


STRANGER = Refusal(403, "stranger")
NO_RELAY = Refusal(403, "no_relay")
CLASS_OF_SERVICE = Refusal(403, "class_of_service")
OFFLINE_INTERNATIONAL = Refusal(403, "offline_international")
OFFLINE_CALLS_LIMIT = Refusal(403, "offline_calls_limit")
EXTENSION_CALLS_LIMIT = Refusal(403, "extension_calls_limit")
FORWARD_TO_EMERGENCY = Refusal(403, "forward_to_emergency")
UNKNOWN_NUMBER = Refusal(404, "unknown_number")
NOT_OF_THIS_SITE = Refusal(404, "not_of_this_site")
INCOMPLETE_NUMBER = Refusal(484, "incomplete_number")
FEATURE_OF_NOBODY = Refusal(403, "feature_of_nobody")
BLOCKED_CALLER = Refusal(603, "blocked_caller")
BLOCKED_AS_BUSY = Refusal(486, "blocked_caller")
ANONYMOUS_CALLER = Refusal(433, "anonymous_caller")
WRONG_PIN = Refusal(403, "wrong_pin")
LOCKED = Refusal(403, "locked_after_wrong_pins")
NOBODY_LOGGED_IN = Refusal(404, "nobody_logged_in")
NO_LAST_CALLER = Refusal(404, "no_last_caller")
DO_NOT_DISTURB = Refusal(480, "do_not_disturb")
STILL_BUSY = Refusal(486, "still_busy")
TOO_MANY_FORWARDS = Refusal(480, "too_many_forwards")
FORWARD_LOOP = Refusal(482, "forward_loop")
NOBODY_AVAILABLE = Refusal(480, "nobody_available", final=False)
NO_APPLICATIONS = Refusal(480, "applications_out_of_order", final=False)
NO_GATEWAY = Refusal(503, "no_gateway", final=False)
NO_EMERGENCY_ROUTE = Refusal(503, "no_emergency_route", final=False)
