"""Site documents: a fault that slips through strands a site's callers; one that is not named costs an hour."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance import site
from appliance.kamailio.view import Extension, Group, Peer
from appliance.model import CallControl, UpstreamAuth
from appliance.site import Credential, RemoteExtension, SiteInvalid, digest_ha1
from appliance.site_model import Keeping, UploadLimit
from tests.helpers.site_documents import REALM, RECIPIENT, document, extension, gateway, group, upstream

Found = list[tuple[str, str]]


def problems(value: object) -> Found:
    return [(problem.path, problem.key) for problem in site.validate(value)]


def test_valid_document_has_no_problems() -> None:
    assert problems(document()) == []


def test_extension_is_read_whole() -> None:
    given_extension = extension(
        "203",
        display="佐藤",
        public_number="+81312340203",
        username="sato",
        allow=["national"],
        forward_busy="201",
        no_answer_s=15,
        do_not_disturb=True,
        record="outside",
        max_calls=2,
    )
    parsed = site.parse(document(extensions=[extension(), given_extension]))
    assert parsed.extensions[1] == Extension(
        number="203",
        display="佐藤",
        public_number="+81312340203",
        allow=("national",),
        forward_busy="201",
        no_answer_s=15,
        do_not_disturb=True,
        record="outside",
        max_calls=2,
    )
    digests = digest_ha1("203", REALM, "only-for-tests-203")
    assert parsed.credentials[1] == Credential("sato", "203", *digests)


def test_groups_peers_and_remote_extensions_are_read() -> None:
    parsed = site.parse(
        document(
            groups=[group(name="Sales", strategy="turn", public_number="+81312340600", ring_s=9)],
            remote_extensions=[{"number": "7201", "public_number": "+81664001201", "site": "osaka-1"}],
            recording={"recipients": [RECIPIENT]},
            gateways=[gateway(uri="sip:[2001:DB8:0::40]:5070;transport=tcp", max_calls=2)],
        )
    )
    assert parsed.groups == (Group("600", "Sales", "turn", ("201",), 9),)
    assert parsed.public_numbers == (("+81312340600", "600"),)
    assert parsed.remote_extensions == (RemoteExtension("7201", "+81664001201", "osaka-1"),)
    assert parsed.recipients == (RECIPIENT,)
    assert parsed.policy.gateways == (
        Peer(
            "gw1",
            "sip:[2001:db8::40]:5070;transport=tcp",
            "lan",
            "e164",
            ("emergency", "national"),
            max_calls=2,
        ),
    )


def test_defaults_are_the_cautious_ones() -> None:
    policy = site.parse(document()).policy
    assert (policy.call_control, policy.upstream_auth) == (CallControl.CLOUD, UpstreamAuth.TRUSTED)
    assert (policy.offline_international, policy.upstream_life_ms, policy.realm) == (False, 600, REALM)
    assert "international" not in site.parse(document()).extensions[0].allow


def numbered(**changes: Any) -> dict[str, Any]:
    base = document()["numbering"]
    return document(numbering={**base, **changes})


def emergency(**changes: Any) -> dict[str, Any]:
    base = document()["emergency"]
    return document(emergency={**base, **changes})


def with_extension(**changes: Any) -> dict[str, Any]:
    return document(extensions=[extension("201"), extension(changes.pop("number", "202"), **changes)])


def without(name: str) -> dict[str, Any]:
    row = extension()
    del row[name]
    return row


FAULTS: dict[str, tuple[dict[str, Any], Found]] = {
    "not a format": (document(format=2), [("$.format", "field.range")]),
    "format missing": (document(format=None), [("$.format", "field.missing")]),
    "version zero": (document(version=0), [("$.version", "field.range")]),
    "version beyond JSON": (document(version=2**53), [("$.version", "field.range")]),
    "version huge": (document(version=10**5000), [("$.version", "field.range")]),
    "version text": (document(version="12"), [("$.version", "field.type")]),
    "version true": (document(version=True), [("$.version", "field.type")]),
    "version fraction": (document(version=12.0), [("$.version", "field.type")]),
    "version nan": (document(version=float("nan")), [("$.version", "field.type")]),
    "unknown field": (document(colour="red"), [("$.colour", "field.unknown")]),
    "misspelt field": (document(extension=[]), [("$.extension", "field.misspelt")]),
    "unprintable field": (document(**{"a\nb": 1}), [("$.'a\\nb'", "field.unknown")]),
    "site missing": (
        document(site=None),
        [
            ("$.site", "field.missing"),
        ],
    ),
    "list for object": (document(link=[]), [("$.link", "field.type")]),
    "object for list": (document(groups={}), [("$.groups", "field.type")]),
    "null": (document(groups=[None]), [("$.groups[0]", "field.type")]),
    "call control": (document(call_control="clod"), [("$.call_control", "field.choice")]),
    "life too short": (document(link={"life_ms": 499}), [("$.link.life_ms", "field.range")]),
    "cloud without upstream": (document(upstreams=[]), [("$.call_control", "site.upstream_missing")]),
    "passthrough without upstream": (
        document(upstreams=[], call_control="local", upstream_auth="passthrough"),
        [("$.upstream_auth", "site.upstream_missing")],
    ),
    "country": (numbered(country="+81"), [("$.numbering.country", "field.pattern")]),
    "network with host bits": (
        document(lan_networks=["192.0.2.1/24"]),
        [("$.lan_networks[0]", "field.pattern")],
    ),
    "network of everybody": (
        document(lan_networks=["0.0.0.0/0"]),
        [("$.lan_networks[0]", "site.network_wide")],
    ),
    "network of everybody, IPv6": (
        document(lan_networks=["::/0"]),
        [("$.lan_networks[0]", "site.network_wide")],
    ),
    "recipient mistyped": (
        document(recording={"recipients": [RECIPIENT[:-1] + "3"]}),
        [("$.recording.recipients[0]", "field.pattern")],
    ),
    # numbers
    "number taken": (
        with_extension(number="201", username="x"),
        [("$.extensions[1].number", "site.number_taken")],
    ),
    "number taken by group": (document(groups=[group("202")]), [("$.groups[0].number", "site.number_taken")]),
    "number taken by another site": (
        document(remote_extensions=[{"number": "201", "public_number": "+81664001201", "site": "osaka-1"}]),
        [("$.remote_extensions[0].number", "site.number_taken")],
    ),
    "number in full-width digits": (
        with_extension(number="２０３"),
        [("$.extensions[1].number", "field.pattern")],
    ),
    "public number national": (
        with_extension(public_number="0312340202"),
        [("$.extensions[1].public_number", "field.pattern")],
    ),
    "public number twice": (
        document(
            extensions=[extension(public_number="+81312340201")], groups=[group(public_number="+81312340201")]
        ),
        [("$.groups[0].public_number", "site.public_number_taken")],
    ),
    "public number of this site elsewhere": (
        document(
            extensions=[extension(public_number="+81312340201")],
            remote_extensions=[{"number": "7201", "public_number": "+81312340201", "site": "osaka-1"}],
        ),
        [("$.remote_extensions[0].public_number", "site.public_number_own")],
    ),
    "username taken": (with_extension(username="201"), [("$.extensions[1].username", "site.username_taken")]),
    "outside prefix shadows": (
        with_extension(number="0201"),
        [("$.extensions[1].number", "site.outside_prefix_shadows")],
    ),
    # credentials
    "HA1 too short": (with_extension(ha1_md5="0" * 31), [("$.extensions[1].ha1_md5", "field.hex")]),
    "HA1 upper case": (with_extension(ha1_sha256="A" * 64), [("$.extensions[1].ha1_sha256", "field.hex")]),
    "HA1s exchanged": (
        with_extension(ha1_md5="a" * 64, ha1_sha256="a" * 32),
        [
            ("$.extensions[1].ha1_md5", "field.hex"),
            ("$.extensions[1].ha1_sha256", "field.hex"),
            ("$.extensions[1]", "site.credential_missing"),
        ],
    ),
    "no HA1": (with_extension(ha1_md5="", ha1_sha256=""), [("$.extensions[1]", "site.credential_missing")]),
    "clear password": (with_extension(**{"password": "x"}), [("$.extensions[1].password", "field.secret")]),
    "weak password": (
        with_extension(ha1_md5=digest_ha1("202", REALM, "1234")[0]),
        [("$.extensions[1].ha1_md5", "site.password_weak")],
    ),
    "number as password": (
        with_extension(ha1_md5="", ha1_sha256=digest_ha1("202", REALM, "202")[1]),
        [("$.extensions[1].ha1_sha256", "site.password_weak")],
    ),
    # texts
    "line break in name": (
        with_extension(display="Sato\r\nX: y"),
        [("$.extensions[1].display", "field.control")],
    ),
    "NUL in name": (with_extension(display="a\0"), [("$.extensions[1].display", "field.control")]),
    "turned-round text in name": (
        with_extension(display="a\u202eb"),
        [("$.extensions[1].display", "field.control")],
    ),
    "half a character in name": (
        with_extension(display="\ud800"),
        [("$.extensions[1].display", "field.control")],
    ),
    "quotation mark in name": (with_extension(display='"'), [("$.extensions[1].display", "field.pattern")]),
    "long name": (with_extension(display="x" * 65), [("$.extensions[1].display", "field.long")]),
    "empty number": (
        document(extensions=[extension(number="", username="201")], groups=None),
        [("$.extensions[0].number", "field.empty")],
    ),
    # groups
    "member unknown": (
        document(groups=[group(members=["209"])]),
        [("$.groups[0].members[0]", "site.member_unknown")],
    ),
    "member after a faulty one": (
        document(groups=[group(members=["x", "209"])]),
        [("$.groups[0].members[0]", "field.pattern"), ("$.groups[0].members[1]", "site.member_unknown")],
    ),
    "member twice": (
        document(groups=[group(members=["201", "201"])]),
        [("$.groups[0].members[1]", "field.doubled")],
    ),
    "group empty": (document(groups=[group(members=[])]), [("$.groups[0].members", "field.few")]),
    "group of a group": (
        document(groups=[group(), group("601", members=["600"])]),
        [("$.groups[1].members[0]", "site.member_unknown")],
    ),
    "group too large": (
        document(
            extensions=[extension(str(number)) for number in range(200, 231)],
            groups=[group(members=[str(number) for number in range(200, 231)])],
        ),
        [("$.groups[0].members", "field.many")],
    ),
    # peers
    "name for address": (
        document(gateways=[gateway(uri="sip:gw.example")]),
        [("$.gateways[0].uri", "address.name")],
    ),
    "sips": (
        document(gateways=[gateway(uri="sips:192.0.2.40")]),
        [("$.gateways[0].uri", "address.syntax")],
    ),
    "password in URI": (
        document(gateways=[gateway(uri="sip:me:hidden@192.0.2.40")]),
        [("$.gateways[0].uri", "address.syntax")],
    ),
    "URI parameter": (
        document(gateways=[gateway(uri="sip:192.0.2.40;lr")]),
        [("$.gateways[0].uri", "address.parameter")],
    ),
    "URI port": (
        document(gateways=[gateway(uri="sip:192.0.2.40:0")]),
        [("$.gateways[0].uri", "address.port")],
    ),
    "id twice": (
        document(upstreams=[upstream(id="gw1")]),
        [("$.gateways[0].id", "site.id_taken")],
    ),
    "address twice": (
        document(gateways=[gateway(), gateway(id="gw2", uri="sip:192.0.2.40:5060;transport=tcp")]),
        [("$.gateways[1].uri", "site.address_taken")],
    ),
    "kinds missing": (
        document(gateways=[{"id": "gw1", "uri": "sip:192.0.2.40"}]),
        [("$.gateways[0].kinds", "field.missing")],
    ),
    # emergency
    "emergency number missing": (
        emergency(numbers=["110", "119"]),
        [("$.emergency.numbers", "site.emergency_required")],
    ),
    "emergency shadowed by extension": (
        with_extension(number="119"),
        [("$.extensions[1].number", "site.emergency_shadowed")],
    ),
    "emergency shadowed by group": (
        document(groups=[group("110")]),
        [("$.groups[0].number", "site.emergency_shadowed")],
    ),
    "emergency shadowed by outside prefix": (
        numbered(outside_prefix="11"),
        [("$.numbering.outside_prefix", "site.emergency_shadowed")] * 3,
    ),
    "emergency gateway unknown": (
        emergency(gateways=["gw9"]),
        [("$.emergency.gateways[0]", "site.gateway_unknown")],
    ),
    "emergency gateway an upstream": (
        emergency(gateways=["cloud"]),
        [("$.emergency.gateways[0]", "site.gateway_unknown")],
    ),
    "emergency gateway without the kind": (
        document(gateways=[gateway(kinds=["national"])]),
        [("$.emergency.gateways[0]", "site.emergency_kind")],
    ),
    "emergency gateway none": (
        emergency(gateways=[]),
        [("$.emergency.gateways", "site.emergency_gateway_none")],
    ),
    # forwarding
    "forward to itself": (
        with_extension(forward_no_answer="202"),
        [("$.extensions[1].forward_no_answer", "site.forward_self")],
    ),
    "forward to itself from outside": (
        with_extension(public_number="+81312340202", forward_busy="00312340202"),
        [("$.extensions[1].forward_busy", "site.forward_self")],
    ),
    "forward to itself in national form": (
        with_extension(public_number="+81312340202", forward_busy="0312340202"),
        [("$.extensions[1].forward_busy", "site.forward_self")],
    ),
    "forward to nobody": (
        with_extension(forward_busy="209"),
        [("$.extensions[1].forward_busy", "site.forward_nobody")],
    ),
    "forward to emergency": (
        with_extension(forward_always="110"),
        [("$.extensions[1].forward_always", "site.forward_emergency")],
    ),
    "forward in a circle": (
        document(extensions=[extension("201", forward_always="202"), extension("202", forward_always="201")]),
        [("$.extensions[0].forward_always", "site.forward_loop")],
    ),
    "forward in a circle through a group": (
        document(extensions=[extension("201", forward_always="600")], groups=[group(overflow="201")]),
        [("$.extensions[0].forward_always", "site.forward_loop")],
    ),
    "forward in a circle through the public number": (
        document(
            extensions=[
                extension("201", forward_always="202", public_number="+81312340201"),
                extension("202", forward_always="+81312340201"),
            ]
        ),
        [("$.extensions[0].forward_always", "site.forward_loop")],
    ),
}


@pytest.mark.parametrize(("value", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_named_with_its_path(value: dict[str, Any], expected: Found) -> None:
    assert problems(value) == expected


@pytest.mark.parametrize("value", [None, [], "x", 1, float("nan"), True])
def test_something_else_than_an_object_is_refused(value: object) -> None:
    assert problems(value)[0] == ("$", "field.type")


def test_every_fault_is_listed_at_once() -> None:
    value = document(version=-1, gateways=[gateway(uri="sip:gw")], extensions=[extension(ha1_md5="x")])
    assert problems(value) == [
        ("$.version", "field.range"),
        ("$.gateways[0].uri", "address.name"),
        ("$.extensions[0].ha1_md5", "field.hex"),
    ]


def test_circle_is_shown_with_its_numbers() -> None:
    value = document(
        extensions=[
            extension("201", forward_always="202"),
            extension("202", forward_always="203"),
            extension("203", forward_always="202"),
        ]
    )
    (problem,) = site.validate(value)
    assert problem.path == "$.extensions[1].forward_always"
    assert problem.message == "the forwarding goes round for ever: 202 → 203 → 202"


def test_misspelt_field_gets_a_suggestion() -> None:
    (problem,) = site.validate(with_extension(forward_bussy=""))
    assert problem.hint == "Did you mean 'forward_busy'?"


@pytest.mark.parametrize(
    "value",
    [
        with_extension(**{"Password": "hidden"}),
        with_extension(ha1_md5="hidden"),
        with_extension(ha1_sha256=["hidden"]),
        document(gateways=[gateway(uri="sip:me:hidden@192.0.2.40")]),
    ],
)
def test_secrets_never_stand_in_a_message(value: dict[str, Any]) -> None:
    found = site.validate(value)
    assert found
    assert "hidden" not in "".join(f"{problem} {problem.hint} {problem.values}" for problem in found)


@pytest.mark.parametrize(
    "value",
    [
        document(
            extensions=[extension("201", forward_no_answer="202"), extension("202", forward_no_answer="201")]
        ),
        with_extension(forward_always="00312345678"),
        with_extension(forward_always="+15551234567"),
        numbered(outside_prefix="9") | {"extensions": [extension(forward_always="0312345678")]},
        with_extension(ha1_md5=""),
        document(
            upstream_auth="passthrough",
            extensions=[without("ha1_md5") | {"ha1_sha256": ""}, extension("202")],
        ),
        document(gateways=[gateway(), gateway(id="gw2", uri="sip:192.0.2.40:5070")]),
        document(upstreams=[], call_control="local"),
    ],
    ids=[
        "colleagues forward to each other",
        "forward outside",
        "forward abroad",
        "forward outside without the outside prefix",
        "SHA-256 alone",
        "no HA1 with passthrough",
        "two gateways at one address",
        "no cloud",
    ],
)
def test_unusual_but_sound_document_is_accepted(value: dict[str, Any]) -> None:
    assert problems(value) == []


def test_site_without_gateway_is_accepted_with_a_warning() -> None:
    parsed = site.parse(emergency(gateways=[]) | {"gateways": []})
    assert [(one.path, one.key) for one in parsed.warnings] == [("$.gateways", "site.no_gateway")]


def test_limits_by_time_of_day_and_keeping_are_read() -> None:
    recordings = {
        "limits": [
            {"from": "08:00", "to": "18:30", "kbit_s": 2000},
            {"from": "22:00", "to": "06:00", "kbit_s": 0},
            {"from": "00:00", "to": "24:00", "kbit_s": 9000},
        ],
        "keep_days": 30,
        "keep_mb": 2048,
    }
    parsed = site.parse(document(sync={"recordings": recordings}))
    assert parsed.upload_limits == (
        UploadLimit(480, 1110, 2000),
        UploadLimit(1320, 360, 0),
        UploadLimit(0, 1440, 9000),
    )
    assert parsed.keeping == Keeping(30, 2048)
    assert (site.parse(document()).upload_limits, site.parse(document()).keeping) == ((), Keeping())
    assert parsed.record_keeping == site.parse(document()).record_keeping == Keeping(400, 2048)
    records = {"keep_days": 0, "keep_mb": 64}
    assert site.parse(document(sync={"records": records})).record_keeping == Keeping(0, 64)


def test_every_fault_of_the_limits_is_named() -> None:
    limits = [
        {"from": "8:00", "to": "25:00", "kbit_s": -1},
        {"from": "08:00", "to": "08:00", "kbit_s": 1},
        {"to": "09:00", "kbit_s": "much", "kbits": 1},
    ]
    value = document(
        sync={
            "recordings": {"limits": limits, "keep_days": 5000, "keep": 1},
            "records": {"keep_mb": -1},
            "speed": 1,
        }
    )
    assert set(problems(value)) == {
        ("$.sync.recordings.limits[0].from", "field.pattern"),
        ("$.sync.recordings.limits[0].to", "field.pattern"),
        ("$.sync.recordings.limits[0].kbit_s", "field.range"),
        ("$.sync.recordings.limits[1].to", "site.limit_empty"),
        ("$.sync.recordings.limits[2].from", "field.missing"),
        ("$.sync.recordings.limits[2].kbit_s", "field.type"),
        ("$.sync.recordings.limits[2].kbits", "field.misspelt"),
        ("$.sync.recordings.keep_days", "field.range"),
        ("$.sync.recordings.keep", "field.misspelt"),
        ("$.sync.records.keep_mb", "field.range"),
        ("$.sync.speed", "field.unknown"),
    }


def test_recording_without_recipient_is_accepted_with_a_warning() -> None:
    parsed = site.parse(with_extension(record="all"))
    assert [(one.path, one.key) for one in parsed.warnings] == [
        ("$.recording.recipients", "site.no_recipient")
    ]


def test_flood_of_faults_is_cut_and_counted() -> None:
    found = site.validate(document(extensions=[{"number": "x"}] * 1500, gateways=[gateway()]))
    assert (len(found), found[-1].key) == (1001, "field.more")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "json.syntax"),
        ("{", "json.syntax"),
        (b"\xff\xfe", "json.encoding"),
        ("[" * 100_000, "json.deep"),
        ('{"format": 1, "format": 1}', "json.doubled"),
        ('{"version": ' + "9" * 5000 + "}", "json.syntax"),
        (" " * (site.DOCUMENT_MAX_BYTES + 1), "json.large"),
        ('{"version": NaN}', "field.missing"),
    ],
    ids=["empty", "half", "UTF-16", "deep", "doubled name", "endless number", "too large", "NaN"],
)
def test_broken_text_is_refused(text: str | bytes, expected: str) -> None:
    with pytest.raises(SiteInvalid) as caught:
        site.loads(text)
    assert caught.value.problems[0].key == expected


def test_text_is_parsed() -> None:
    value = document(extensions=[extension(display="佐藤")])
    assert site.loads(json.dumps(value, ensure_ascii=False).encode()) == site.parse(value)


def test_digests_are_those_of_the_standard() -> None:
    """RFC 7616 section 3.9.1 hashes Mufasa's A1 on the way to its responses; these are that A1's digests."""
    assert digest_ha1("Mufasa", "http-auth@example.org", "Circle of Life") == (
        "3d78807defe7de2157e2b0b6573a855f",
        "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232",
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _replaced(value: Any, path: list[Any], new: object) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _replaced(copy[path[0]], path[1:], new)
    return copy


def _paths(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner: list[tuple[Any, object]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(one for name, item in inner for one in _paths(item, (*path, name)))]


FULL = document(
    groups=[group()],
    remote_extensions=[{"number": "7201", "public_number": "+81664001201", "site": "osaka-1"}],
    recording={"recipients": [RECIPIENT]},
    lan_networks=["192.0.2.0/24"],
    limits={"offline_international": True},
)


@settings(max_examples=300)
@given(path=st.sampled_from(_paths(FULL)), new=_JSON)
def test_any_value_at_any_place_is_accepted_or_named_never_a_crash(
    path: tuple[Any, ...], new: object
) -> None:
    for problem in site.validate(_replaced(FULL, list(path), new)):
        assert problem.message
        assert str(problem).isprintable()


@pytest.mark.parametrize("read", [site.validate, site.fields], ids=["validate", "fields"])
def test_reading_leaves_the_document_alone(read: Callable[..., object]) -> None:
    value = document()
    before = json.dumps(value)
    read(*([value] if read is site.validate else []))
    assert json.dumps(value) == before
