"""Reads a site document's fields, each by its own rule. What several fields say together is `site_checks`' work.

Every field with its meaning and default is described in `docs/site-document.md`; a test keeps the two in step.
"""

from dataclasses import replace

from appliance import addresses, site_features, site_media, site_recording, site_retention, words
from appliance.bech32 import is_age_recipient
from appliance.digest import MD5_DIGITS, SHA256_DIGITS
from appliance.freeswitch import directory_names, prompt_texts
from appliance.freeswitch.directory_keys import Person
from appliance.kamailio import announcement, screening
from appliance.kamailio.blocking import ACTIONS, BLOCKS_MAX
from appliance.kamailio.dialplan import INTERNAL
from appliance.kamailio.view import Extension, Group, Peer, Policy
from appliance.model import UPSTREAM_LIFE_MS, CallControl, NumberKind, UpstreamAuth
from appliance.reader import Table
from appliance.site_model import (
    COPIES_KEPT,
    RECORDS_KEPT,
    Credential,
    Keeping,
    RemoteExtension,
    Site,
    UploadLimit,
)

FORMAT = 1
"""The only document format that this software reads."""

VERSION_MAX = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8259 section 6)."""

EXTENSIONS_MAX = 20_000
"""The largest site that the service is sold for."""

GROUPS_MAX = 2_000
REMOTE_EXTENSIONS_MAX = 100_000
UPSTREAMS_MAX = 8
GATEWAYS_MAX = 32
NETWORKS_MAX = 64
RECIPIENTS_MAX = 8
EMERGENCY_NUMBERS_MAX = 16
UPLOAD_LIMITS_MAX = 24
"""One for each hour of the day."""
UPLOAD_KBIT_MAX = 10_000_000
"""10 Gbit/s: more is a typing error."""
KEEP_DAYS_MAX = 3650
KEEP_MEBIBYTES_MAX = 100 * 1024 * 1024
"""100 TiB."""
SETTLED_CHANGES_MAX = 500
"""Ten boxes of a site, each with as many changes as may be open."""

GROUP_MEMBERS_MAX = 30
"""Phones rung for one call: Kamailio forks a request to at most 31 branches (core parameter max_branches)."""

SITE_BLOCKS_MAX = 500
"""Gone through for every call from outside: some 50 microseconds."""

STRATEGIES = ("all", "turn", "round_robin", "longest_idle")

OVERFLOW_MAX_S = 600
"""A caller who has heard it ring for ten minutes has long put down."""

RING_MIN_S = 5
RING_MAX_S = 300
"""Below, nobody can reach the phone; above, RFC 3261's Timer C (over 3 minutes) nears its usual setting."""

EXTENSION_CALLS_MAX = 100
PEER_CALLS_MAX = 10_000

LIFE_MIN_MS = 500
LIFE_MAX_MS = 5_000
"""Below 500 ms one lost packet (SIP's T1) looks like a dead line; a satellite link needs three times 0.7 s."""

OUTSIDE_KINDS = tuple(
    kind.value for kind in NumberKind if kind not in INTERNAL and kind is not NumberKind.UNKNOWN
)
"""What a gateway can carry."""

ALLOWED_KINDS = tuple(kind for kind in OUTSIDE_KINDS if kind != NumberKind.EMERGENCY)
"""What an extension may be allowed to call; emergency numbers are open to every phone."""

DEFAULT_ALLOWED = (NumberKind.TOLL_FREE, NumberKind.LOCAL, NumberKind.NATIONAL)

RECIPIENT = words.Form(is_age_recipient, "an age recipient (its checksum must be right)", "'age1...'")


def read(root: Table) -> Site:
    """The document's values; faults go to the table's `Problems`, and a faulty field has its default."""
    root.integer("format", low=FORMAT, high=FORMAT)
    version = root.integer("version", low=1, high=VERSION_MAX)
    own = root.table("site")
    site_id = own.text("id", most=words.ID_MAX_CHARS, form=words.ID)
    name = own.text("name", site_id, form=words.NAME)
    tenant = own.text("tenant", most=words.ID_MAX_CHARS, form=words.ID)
    time_zone = own.text("time_zone", form=words.TIME_ZONE)
    policy = _policy(root, own, site_id, version)
    own.finish()
    listed: list[Person] = []
    people = [_extension(table, listed) for table in root.tables("extensions", count_most=EXTENSIONS_MAX)]
    groups = [_group(table) for table in root.tables("groups", count_most=GROUPS_MAX)]
    remote = tuple(
        _remote(table) for table in root.tables("remote_extensions", count_most=REMOTE_EXTENSIONS_MAX)
    )
    recording = root.table("recording", required=False)
    recipients = recording.texts("recipients", (), count_most=RECIPIENTS_MAX, form=RECIPIENT)
    pause_codes = site_recording.codes(recording)
    retention = site_retention.read(recording)
    announce, sentence = site_recording.announced(recording)
    recording.finish()
    upload_limits, keeping, record_keeping, copy_keeping = _sync(root.table("sync", required=False))
    settled = root.table("local_changes", required=False)
    merged, refused = (
        settled.texts(name, (), count_most=SETTLED_CHANGES_MAX, form=words.CHANGE_ID)
        for name in ("merged", "refused")
    )
    settled.finish()
    codes, feature_language, named = site_features.read(root)
    media = site_media.read(root, time_zone, policy.domain)
    in_force = site_features.in_force(
        codes, named, (one.number for one in media.applications), policy.outside_prefix
    )
    announces = announce != announcement.OFF or any(
        one.announce in (announcement.OUTSIDE, announcement.EVERYBODY) for one, _ in people
    )
    media = replace(
        media,
        features=in_force,
        feature_language=feature_language,
        announcement=sentence if announces else "",
    )
    media = directory_names.with_people(media, listed)
    policy = replace(
        policy,
        time_zone=time_zone or "UTC",
        announce=announce,
        sentence=prompt_texts.file_of(media, media.announcement, feature_language),
        applications=site_media.answered(media),
        application_calls=site_media.called(media),
        mailboxes=tuple(box.number for box in media.mailboxes),
        codes=tuple(one for one in in_force if not one.pressed),
        follows_members=any(group.strategy == "longest_idle" or not group.ring_busy for group, _ in groups),
        follows_idle=any(group.strategy == "longest_idle" for group, _ in groups),
    )
    root.finish()
    return Site(
        version=version,
        id=site_id,
        name=name,
        tenant=tenant,
        time_zone=time_zone,
        policy=policy,
        extensions=tuple(extension for extension, _ in people),
        credentials=tuple(credential for _, credential in people),
        groups=tuple(group for group, _ in groups),
        group_public_numbers=tuple(public_number for _, public_number in groups),
        remote_extensions=remote,
        recipients=recipients,
        pause_codes=pause_codes,
        retention=retention,
        upload_limits=upload_limits,
        keeping=keeping,
        record_keeping=record_keeping,
        copy_keeping=copy_keeping,
        merged_changes=merged,
        refused_changes=refused,
        media=media,
        codes_named=named,
    )


def _sync(table: Table) -> tuple[tuple[UploadLimit, ...], Keeping, Keeping, Keeping]:
    recordings = table.table("recordings", required=False)
    limits = tuple(_limit(one) for one in recordings.tables("limits", count_most=UPLOAD_LIMITS_MAX))
    records = table.table("records", required=False)
    copies = table.table("acknowledged", required=False)
    keeping = _keeping(recordings, Keeping()), _keeping(records, RECORDS_KEPT), _keeping(copies, COPIES_KEPT)
    for one in (recordings, records, copies):
        one.finish()
    table.finish()
    return limits, *keeping


def _keeping(table: Table, unless: Keeping) -> Keeping:
    return Keeping(
        days=table.integer("keep_days", unless.days, low=0, high=KEEP_DAYS_MAX),
        mebibytes=table.integer("keep_mb", unless.mebibytes, low=0, high=KEEP_MEBIBYTES_MAX),
    )


def _limit(table: Table) -> UploadLimit:
    limit = UploadLimit(
        begin=_minute(table.text("from", form=words.TIME_OF_DAY), -1),
        end=_minute(table.text("to", form=words.TIME_OF_DAY), -2),
        kbit_s=table.integer("kbit_s", low=0, high=UPLOAD_KBIT_MAX),
    )
    table.finish()
    return limit


def _minute(text: str, reported: int) -> int:
    """Minute of the day; `reported` for a text that was found faulty."""
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes) if minutes else reported


def _minute_of_day(text: str) -> int:
    """Midnight is the day's begin, whichever way it is written; -1 for no time."""
    return _minute(text, 0) % (24 * 60) if text else -1


def _policy(root: Table, own: Table, site_id: str, version: int) -> Policy:
    numbering = root.table("numbering")
    emergency = root.table("emergency")
    limits = root.table("limits", required=False)
    link = root.table("link", required=False)
    block = root.table("block", required=False)
    desks = root.table("hot_desk", required=False)
    domain = own.text("domain", most=253, form=words.DOMAIN)
    policy = Policy(
        site_id=site_id,
        version=version,
        domain=domain,
        realm=own.text("realm", domain, form=words.REALM),
        call_control=CallControl(root.choice("call_control", CallControl.CLOUD, CallControl)),
        upstream_auth=UpstreamAuth(root.choice("upstream_auth", UpstreamAuth.TRUSTED, UpstreamAuth)),
        country=numbering.text("country", form=words.COUNTRY),
        area=numbering.text("area", "", form=words.PREFIX),
        national_prefix=numbering.text("national_prefix", "", form=words.PREFIX),
        international_prefix=numbering.text("international_prefix", form=words.PREFIX),
        outside_prefix=numbering.text("outside_prefix", "", form=words.PREFIX),
        emergency_numbers=emergency.texts(
            "numbers", count_least=1, count_most=EMERGENCY_NUMBERS_MAX, form=words.EMERGENCY_NUMBER
        ),
        emergency_caller=emergency.text("caller", form=words.E164),
        pickup=root.choice("pickup", "group", ("group", "site", "off")),
        emergency_gateways=emergency.texts("gateways", (), count_most=GATEWAYS_MAX, form=words.ID),
        upstreams=tuple(_upstream(table) for table in root.tables("upstreams", count_most=UPSTREAMS_MAX)),
        gateways=tuple(_gateway(table) for table in root.tables("gateways", count_most=GATEWAYS_MAX)),
        offline_international=limits.flag("offline_international", False),
        offline_outside_calls_max=limits.integer("offline_outside_calls_max", 0, low=0, high=PEER_CALLS_MAX),
        upstream_life_ms=link.integer("life_ms", UPSTREAM_LIFE_MS, low=LIFE_MIN_MS, high=LIFE_MAX_MS),
        spoken_refusals=root.choice("refusals", "spoken", ("spoken", "plain")) == "spoken",
        blocked=block.texts("numbers", (), count_most=SITE_BLOCKS_MAX, form=words.BLOCK),
        reject_anonymous=block.flag("anonymous", False),
        block_action=block.choice("action", "reject", ACTIONS),
        emergency_callback_s=block.integer("emergency_callback_s", 3_600, low=600, high=86_400),
        hot_desk_ends=_minute_of_day(desks.text("log_out_at", "", form=words.TIME_OF_DAY)),
        hot_desk_tries=desks.integer("tries", 5, low=3, high=20),
        hot_desk_lock_s=desks.integer("lock_s", 900, low=60, high=86_400),
        lan_networks=root.texts("lan_networks", (), count_most=NETWORKS_MAX, form=words.NETWORK),
    )
    for table in (numbering, emergency, limits, link, block, desks):
        table.finish()
    return policy


def _extension(table: Table, listed: list[Person]) -> tuple[Extension, Credential]:
    """listed: takes who stands in the directory."""
    number = table.text("number", form=words.INTERNAL_NUMBER)
    extension = Extension(
        number=number,
        display=table.text("display", "", most=64, form=words.NAME),
        public_number=table.text("public_number", "", form=words.E164),
        allow=table.choices("allow", DEFAULT_ALLOWED, ALLOWED_KINDS),
        forward_always=table.text("forward_always", "", form=words.DIALLED),
        forward_busy=table.text("forward_busy", "", form=words.DIALLED),
        forward_no_answer=table.text("forward_no_answer", "", form=words.DIALLED),
        no_answer_s=table.integer("no_answer_s", 20, low=RING_MIN_S, high=RING_MAX_S),
        do_not_disturb=table.flag("do_not_disturb", False),
        reject_anonymous=table.flag("reject_anonymous", False),
        blocked=table.texts("blocked", (), count_most=BLOCKS_MAX, form=words.BLOCK),
        block_action=table.choice("block_action", "site", ("site", *ACTIONS)),
        pin_sha256=table.hexadecimal("pin_sha256", SHA256_DIGITS),
        record=table.choice("record", "none", ("all", "outside", "none")),
        max_calls=table.integer("max_calls", 4, low=1, high=EXTENSION_CALLS_MAX),
        screening=table.choice("screening", screening.OFF, screening.WAYS),
        pickup_group=table.text("pickup_group", "", most=words.ID_MAX_CHARS, form=words.ID),
        announce=table.choice("announce", announcement.SITE, (announcement.SITE, *announcement.WAYS)),
    )
    kana = table.text("kana", "", most=64, form=words.KANA)
    if table.flag("listed", True) and (extension.display or kana):
        listed.append(Person(number, extension.display, kana))
    credential = Credential(
        username=table.text("username", number, form=words.USERNAME),
        number=number,
        ha1_md5=table.hexadecimal("ha1_md5", MD5_DIGITS),
        ha1_sha256=table.hexadecimal("ha1_sha256", SHA256_DIGITS),
    )
    table.finish()
    return extension, credential


def _group(table: Table) -> tuple[Group, str]:
    number = table.text("number", form=words.INTERNAL_NUMBER)
    group = Group(
        number=number,
        name=table.text("name", number, most=64, form=words.NAME),
        strategy=table.choice("strategy", "all", STRATEGIES),
        members=table.texts(
            "members", count_least=1, count_most=GROUP_MEMBERS_MAX, form=words.INTERNAL_NUMBER
        ),
        ring_s=table.integer("ring_s", 20, low=RING_MIN_S, high=RING_MAX_S),
        overflow=table.text("overflow", "", form=words.DIALLED),
        overflow_s=table.integer("overflow_s", 0, low=0, high=OVERFLOW_MAX_S),
        ring_busy=table.flag("ring_busy", True),
    )
    public_number = table.text("public_number", "", form=words.E164)
    table.finish()
    return group, public_number


def _remote(table: Table) -> RemoteExtension:
    remote = RemoteExtension(
        number=table.text("number", form=words.INTERNAL_NUMBER),
        public_number=table.text("public_number", form=words.E164),
        site=table.text("site", most=words.ID_MAX_CHARS, form=words.ID),
    )
    table.finish()
    return remote


def _upstream(table: Table) -> Peer:
    peer = _peer(table, "wan", "extension", ())
    table.finish()
    return peer


def _gateway(table: Table) -> Peer:
    kinds = table.choices("kinds", None, OUTSIDE_KINDS, count_least=1)
    peer = _peer(table, "lan", "e164", kinds)
    table.finish()
    return peer


def _peer(table: Table, network: str, number_format: str, kinds: tuple[str, ...]) -> Peer:
    uri = table.address(
        "uri",
        addresses.sip_address,
        expected="a SIP URI with a literal address",
        example="'sip:192.0.2.40:5060;transport=udp'",
    )
    return Peer(
        id=table.text("id", most=words.ID_MAX_CHARS, form=words.ID),
        uri=addresses.sip_address(uri).uri if uri else "",
        network=table.choice("network", network, ("lan", "wan")),
        number_format=table.choice("number_format", number_format, ("e164", "national", "extension")),
        kinds=kinds,
        caller=table.text("caller", "", form=words.E164),
        identity=table.choice("identity", "pai", ("from", "pai", "ppi")),
        max_calls=table.integer("max_calls", 0, low=0, high=PEER_CALLS_MAX),
    )
