"""Words that every part of the box shares. Owns no behaviour, opens nothing."""

from enum import StrEnum


class LinkState(StrEnum):
    """What the box knows of one upstream. UNKNOWN: nobody has said anything for `LINK_STATE_TTL_S`."""

    UP = "UP"
    SUSPECT = "SUSPECT"
    DOWN = "DOWN"
    RECOVERING = "RECOVERING"
    UNKNOWN = "UNKNOWN"


class CallControl(StrEnum):
    """Who routes calls while the link is up: the cloud PBX, or the box with the cloud as one of its trunks."""

    CLOUD = "cloud"
    LOCAL = "local"


class UpstreamAuth(StrEnum):
    """Whether the cloud trusts the box's word on who calls, or challenges the phones itself."""

    TRUSTED = "trusted"
    PASSTHROUGH = "passthrough"


class NumberKind(StrEnum):
    """What a dialled number reaches. The order of classes of service is the site document's business."""

    EXTENSION = "extension"
    GROUP = "group"
    REMOTE_EXTENSION = "remote_extension"
    APPLICATION = "application"
    FEATURE = "feature"
    EMERGENCY = "emergency"
    TOLL_FREE = "toll_free"
    LOCAL = "local"
    NATIONAL = "national"
    MOBILE = "mobile"
    IP_PHONE = "ip_phone"
    PREMIUM = "premium"
    SPECIAL = "special"
    INTERNATIONAL = "international"
    UNKNOWN = "unknown"


LINK_STATE_TTL_S = 5
"""An entry of Kamailio's `link` htable lives this long, so that a dead agent means UNKNOWN, not UP."""

UPSTREAM_LIFE_MS = 600
"""An upstream that shows no sign of life within this many milliseconds is passed over within the call.

Between 500 and 800 ms by design: tight Kamailio timers at 500 ms gave a first call after 0.58 s in the median
(measured over veth); a phone call is still felt as immediate. A longer round trip raises it (three times the median)."""
