"""What the fields of a site document must say together: numbers taken once, references that lead somewhere.

Pure. Works on the values that `site_fields` read, whose order is the document's, so that an index is a path.
A field that was already reported is "" here and is passed over.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from itertools import chain

from appliance import site_features, site_retention
from appliance.addresses import sip_address
from appliance.digest import digest_ha1, pin_sha256
from appliance.kamailio.view import Peer, Policy
from appliance.model import CallControl, NumberKind, UpstreamAuth
from appliance.problems import Problems, shown
from appliance.site_forwarding import check_forwarding
from appliance.site_model import Site

COUNTRY_EMERGENCY_NUMBERS = {
    "81": ("110", "118", "119"),
    "44": ("112", "999"),
    "1": ("911",),
}
"""Numbers that every telephone of a country must reach. Japan: police, coast guard, fire and ambulance."""

WEAK_PASSWORDS = ("", "0000", "1234", "12345678", "admin", "password", "secret")
"""Tried first by every scanner, beside the extension's number and its user name."""

NETWORK_MIN_PREFIX = {4: 8, 6: 32}
"""A LAN wider than this is a typing error that would trust half the Internet."""


def check(site: Site, problems: Problems) -> None:
    """Note every fault and warning of a document whose fields were read."""
    _numbers(site, problems)
    _public_numbers(site, problems)
    _credentials(site, problems)
    _pins(site, problems)
    _groups(site, problems)
    _peers(site.policy, problems)
    _emergency(site, problems)
    _outside_prefix(site, problems)
    _networks(site.policy, problems)
    _upload_limits(site, problems)
    check_forwarding(site, problems)
    site_features.check(
        site.media.features,
        site.codes_named,
        _own_numbers(site),
        site.policy.outside_prefix,
        problems,
    )
    _retention(site, problems)
    _warn(site, problems)


def _retention(site: Site, problems: Problems) -> None:
    known = site_retention.Known(
        frozenset(one.number for one in site.extensions), frozenset(one.number for one in site.groups)
    )
    named_by_flows = (
        (f"$.flows[{index}].nodes[{place}].class", node.retention)
        for index, flow in enumerate(site.media.flows)
        for place, node in enumerate(flow.nodes)
    )
    site_retention.check(site.retention, known, named_by_flows, problems)


def _upload_limits(site: Site, problems: Problems) -> None:
    for index, limit in enumerate(site.upload_limits):
        if limit.begin == limit.end:
            path = f"$.sync.recordings.limits[{index}].to"
            problems.add(path, "site.limit_empty", value=f"{limit.end // 60:02d}:{limit.end % 60:02d}")


def _own_numbers(site: Site) -> Iterator[tuple[str, str]]:
    """(path, number) of everything that phones of the site dial."""
    for index, extension in enumerate(site.extensions):
        yield f"$.extensions[{index}].number", extension.number
    for index, group in enumerate(site.groups):
        yield f"$.groups[{index}].number", group.number
    for index, remote in enumerate(site.remote_extensions):
        yield f"$.remote_extensions[{index}].number", remote.number
    for index, application in enumerate(site.media.applications):
        yield f"$.applications[{index}].number", application.number


def _numbers(site: Site, problems: Problems) -> None:
    taken: dict[str, str] = {}
    for path, number in _own_numbers(site):
        if number and number in taken:
            problems.add(path, "site.number_taken", value=shown(number), other=taken[number])
        taken.setdefault(number, path)


def _public_numbers(site: Site, problems: Problems) -> None:
    taken: dict[str, str] = {}
    for path, e164 in _public_paths(site):
        if e164 in taken:
            problems.add(path, "site.public_number_taken", value=shown(e164), other=taken[e164])
        taken.setdefault(e164, path.removesuffix(".public_number"))
    for index, remote in enumerate(site.remote_extensions):
        path = f"$.remote_extensions[{index}].public_number"
        if remote.public_number in taken:
            other = taken[remote.public_number]
            problems.add(path, "site.public_number_own", value=shown(remote.public_number), other=other)


def _public_paths(site: Site) -> Iterator[tuple[str, str]]:
    """(path, E.164) of every public number that leads to this site."""
    for index, extension in enumerate(site.extensions):
        if extension.public_number:
            yield f"$.extensions[{index}].public_number", extension.public_number
    for index, e164 in enumerate(site.group_public_numbers):
        if e164:
            yield f"$.groups[{index}].public_number", e164
    for index, application in enumerate(site.media.applications):
        if application.public_number:
            yield f"$.applications[{index}].public_number", application.public_number


def _credentials(site: Site, problems: Problems) -> None:
    taken: dict[str, str] = {}
    realm = site.policy.realm
    for index, one in enumerate(site.credentials):
        path = f"$.extensions[{index}]"
        if one.username and one.username in taken:
            other = taken[one.username]
            problems.add(f"{path}.username", "site.username_taken", value=shown(one.username), other=other)
        taken.setdefault(one.username, path)
        given = {one.ha1_md5, one.ha1_sha256} - {""}
        if not given and site.policy.upstream_auth is UpstreamAuth.TRUSTED:
            problems.add(path, "site.credential_missing", value=one.number)
        elif any(
            given & set(digest_ha1(one.username, realm, password))
            for password in (*WEAK_PASSWORDS, one.number, one.username)
        ):
            field = "ha1_md5" if one.ha1_md5 else "ha1_sha256"
            problems.add(f"{path}.{field}", "site.password_weak", value=one.number)


WEAK_PINS = ("0000", "1111", "1234", "4321", "9999", "12345", "123456", "000000", "111111")
"""Tried first by everybody, beside the extension's own number."""


def _pins(site: Site, problems: Problems) -> None:
    for index, one in enumerate(site.extensions):
        if one.pin_sha256 and any(
            pin_sha256(one.number, site.policy.domain, pin) == one.pin_sha256
            for pin in (*WEAK_PINS, one.number)
        ):
            problems.add(f"$.extensions[{index}].pin_sha256", "site.pin_weak", value=one.number)


def _groups(site: Site, problems: Problems) -> None:
    extensions = {extension.number for extension in site.extensions}
    for index, group in enumerate(site.groups):
        path = f"$.groups[{index}].members"
        for position, member in enumerate(group.members):
            if member and member not in extensions:
                problems.add(f"{path}[{position}]", "site.member_unknown", value=shown(member))


def _peers(policy: Policy, problems: Problems) -> None:
    ids: dict[str, str] = {}
    addresses: dict[tuple[str, int], str] = {}
    for path, peer in _peer_paths(policy):
        if peer.id and peer.id in ids:
            problems.add(f"{path}.id", "site.id_taken", value=shown(peer.id), other=ids[peer.id])
        ids.setdefault(peer.id, path)
        if not peer.uri:
            continue
        where = sip_address(peer.uri)
        if other := addresses.get((where.host, where.port)):
            problems.add(f"{path}.uri", "site.address_taken", value=shown(peer.uri), other=other)
        addresses.setdefault((where.host, where.port), path)
    if policy.upstreams:
        return
    for field, value in (
        ("call_control", policy.call_control if policy.call_control is CallControl.CLOUD else ""),
        ("upstream_auth", policy.upstream_auth if policy.upstream_auth is UpstreamAuth.PASSTHROUGH else ""),
    ):
        if value:
            problems.add(f"$.{field}", "site.upstream_missing", value=shown(str(value)))


def _peer_paths(policy: Policy) -> Iterable[tuple[str, Peer]]:
    return chain(
        ((f"$.upstreams[{index}]", peer) for index, peer in enumerate(policy.upstreams)),
        ((f"$.gateways[{index}]", peer) for index, peer in enumerate(policy.gateways)),
    )


def _emergency(site: Site, problems: Problems) -> None:
    policy = site.policy
    required = COUNTRY_EMERGENCY_NUMBERS.get(policy.country, ())
    for number in required:
        if policy.emergency_numbers and number not in policy.emergency_numbers:
            problems.add(
                "$.emergency.numbers",
                "site.emergency_required",
                value=number,
                country=policy.country,
                required=", ".join(required),
            )
    protected = {*policy.emergency_numbers, *required} - {""}
    for path, number in _own_numbers(site):
        if number in protected:
            problems.add(path, "site.emergency_shadowed", value=number, other=path)
    for number in sorted(protected):
        if policy.outside_prefix and number.startswith(policy.outside_prefix):
            path = "$.numbering.outside_prefix"
            problems.add(path, "site.emergency_shadowed", value=number, other=path)
    _emergency_gateways(policy, problems)


def _emergency_gateways(policy: Policy, problems: Problems) -> None:
    gateways = {gateway.id: gateway for gateway in policy.gateways}
    if gateways and not policy.emergency_gateways:
        problems.add("$.emergency.gateways", "site.emergency_gateway_none")
    for index, gateway_id in enumerate(policy.emergency_gateways):
        path = f"$.emergency.gateways[{index}]"
        gateway = gateways.get(gateway_id)
        if not gateway_id:
            continue
        if gateway is None:
            known = ", ".join(filter(None, gateways)) or "none"
            problems.add(path, "site.gateway_unknown", value=shown(gateway_id), known=known)
        elif gateway.kinds and NumberKind.EMERGENCY not in gateway.kinds:
            problems.add(path, "site.emergency_kind", value=gateway_id)


def _outside_prefix(site: Site, problems: Problems) -> None:
    prefix = site.policy.outside_prefix
    for path, number in _own_numbers(site):
        if prefix and number.startswith(prefix):
            problems.add(path, "site.outside_prefix_shadows", value=shown(number), prefix=prefix)


def _networks(policy: Policy, problems: Problems) -> None:
    for index, value in enumerate(policy.lan_networks):
        if not value:
            continue
        network = ipaddress.ip_network(value)
        least = NETWORK_MIN_PREFIX[network.version]
        if network.prefixlen < least:
            path = f"$.lan_networks[{index}]"
            problems.add(path, "site.network_wide", value=shown(value), least=least)


def _warn(site: Site, problems: Problems) -> None:
    if not site.policy.gateways:
        problems.warn("$.gateways", "site.no_gateway")
    if not site.recipients and any(extension.record != "none" for extension in site.extensions):
        problems.warn("$.recording.recipients", "site.no_recipient")
