"""Builds small site documents: valid as they are, changed by keyword."""

from typing import Any

from appliance.site import digest_ha1

REALM = "tokyo-1.example"
RECIPIENT = "age19h8fejvhlx8eudqakuyws47a6t960nkfqapmdrnzgaqcw2q5cpcsrgvqn2"


def extension(number: str = "201", **changes: Any) -> dict[str, Any]:
    """An extension whose password is "only-for-tests-<number>"."""
    md5, sha256 = digest_ha1(number, REALM, f"only-for-tests-{number}")
    return {"number": number, "ha1_md5": md5, "ha1_sha256": sha256} | changes


def gateway(**changes: Any) -> dict[str, Any]:
    """A gateway that carries emergency and national calls."""
    return {"id": "gw1", "uri": "sip:192.0.2.40", "kinds": ["emergency", "national"]} | changes


def upstream(**changes: Any) -> dict[str, Any]:
    """The cloud."""
    return {"id": "cloud", "uri": "sip:198.51.100.7:5060;transport=udp"} | changes


def group(number: str = "600", **changes: Any) -> dict[str, Any]:
    """A group of the one extension 201."""
    return {"number": number, "members": ["201"]} | changes


def document(**changes: Any) -> dict[str, Any]:
    """A valid document with two extensions; a change replaces a top-level field, `None` removes it."""
    base: dict[str, Any] = {
        "format": 1,
        "version": 12,
        "site": {"id": "tokyo-1", "tenant": "acme", "time_zone": "Asia/Tokyo", "domain": REALM},
        "numbering": {
            "country": "81",
            "area": "3",
            "national_prefix": "0",
            "international_prefix": "010",
            "outside_prefix": "0",
        },
        "emergency": {"numbers": ["110", "118", "119"], "caller": "+81312340000", "gateways": ["gw1"]},
        "extensions": [extension("201"), extension("202")],
        "upstreams": [upstream()],
        "gateways": [gateway()],
    }
    return {name: value for name, value in (base | changes).items() if value is not None}
