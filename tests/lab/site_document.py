"""The site document of a lab: its extensions with their passwords, one group, the cloud, the gateway. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from appliance.site import digest_ha1
from tests.lab.addresses import SIP_PORT, Addresses

SITE, REALM, TENANT = "tokyo-1", "tokyo-1.example", "acme"
MAIN_NUMBER = "+81312340000"
GROUP = "600"
CLOUD, GATEWAY = "cloud", "gw1"
INLAND = ("toll_free", "local", "national", "mobile", "ip_phone")
KINDS = ("emergency", *INLAND, "international")


def extension(number: str, password: str, **changes: Any) -> dict[str, Any]:
    """One extension whose public number ends like its own."""
    md5, sha256 = digest_ha1(number, REALM, password)
    base = {
        "number": number,
        "display": f"Phone {number}",
        "public_number": f"+81312340{number}",
        "username": number,
        "ha1_md5": md5,
        "ha1_sha256": sha256,
        "allow": list(INLAND),
        "record": "none",
    }
    return base | changes


def site_document(
    addresses: Addresses,
    passwords: Mapping[str, str],
    *,
    version: int = 1,
    record: str = "none",
    recipients: Sequence[str] = (),
    gateway_calls: int = 30,
    **changes: Any,
) -> dict[str, Any]:
    """The document; ``changes`` replace top-level fields, ``None`` removes one."""
    a = addresses
    document: dict[str, Any] = {
        "format": 1,
        "version": version,
        "site": {
            "id": SITE,
            "name": "Tokyo branch",
            "tenant": TENANT,
            "time_zone": "Asia/Tokyo",
            "domain": REALM,
            "realm": REALM,
        },
        "call_control": "cloud",
        "upstream_auth": "trusted",
        "numbering": {
            "country": "81",
            "area": "3",
            "national_prefix": "0",
            "international_prefix": "010",
            "outside_prefix": "",
        },
        "emergency": {"numbers": ["110", "118", "119"], "caller": MAIN_NUMBER, "gateways": [GATEWAY]},
        "extensions": [extension(number, password, record=record) for number, password in passwords.items()],
        "upstreams": [
            {
                "id": CLOUD,
                "uri": f"sip:{a.cloud_seen_by_box}:{SIP_PORT};transport=udp",
                "network": "wan",
                "number_format": "extension",
                "identity": "pai",
            }
        ],
        "gateways": [
            {
                "id": GATEWAY,
                "uri": f"sip:{a.gateway}:{SIP_PORT};transport=udp",
                "network": "lan",
                "kinds": list(KINDS),
                "number_format": "national",
                "caller": MAIN_NUMBER,
                "identity": "pai",
                "max_calls": gateway_calls,
            }
        ],
        "lan_networks": [f"{a.network}.96/27", f"{a.network}.128/26", f"{a.network}.192/29"],
    }
    if passwords:
        members = list(passwords)[:3]
        document["groups"] = [
            {"number": GROUP, "name": "Sales", "strategy": "all", "members": members, "ring_s": 20}
        ]
    if recipients:
        document["recording"] = {"recipients": list(recipients)}
    return {name: value for name, value in (document | changes).items() if value is not None}


def as_text(document: Mapping[str, Any]) -> str:
    """The text that is signed and stored."""
    return json.dumps(document, ensure_ascii=False)
