"""What a valid site document says, as values. Owns no behaviour."""

from dataclasses import dataclass, field, replace

from appliance.freeswitch.applications import MediaPlan
from appliance.kamailio.view import Extension, Group, Policy
from appliance.problems import Problem
from appliance.site_recording import NO_CODES, PauseCodes
from appliance.site_retention import NO_RETENTION, RetentionPlan


@dataclass(frozen=True, slots=True)
class Credential:
    """How a phone proves itself: digest user name, its extension, and the HA1 of each algorithm ("": not usable)."""

    username: str
    number: str
    ha1_md5: str
    ha1_sha256: str


@dataclass(frozen=True, slots=True)
class RemoteExtension:
    """An extension of another site, and the E.164 number it is reached by while the cloud is away."""

    number: str
    public_number: str
    site: str


@dataclass(frozen=True, slots=True)
class UploadLimit:
    """How fast recordings may go at a time of day. begin, end: minutes of the site's day; an end that is not later is on the
    next day. kbit_s: of what is sent; 0: nothing."""

    begin: int
    end: int
    kbit_s: int


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long what the centre has not acknowledged stays on the box; 0: until it has.

    days: that the box ran since; mebibytes: of all of it together.
    """

    days: int = 0
    mebibytes: int = 0


RECORDS_KEPT = Keeping(days=400, mebibytes=2048)
"""Of statistics and events, where a site says nothing: longer than any outage, and less than the smallest disk has."""

COPIES_KEPT = Keeping(days=7, mebibytes=64)
"""Of records that the centre has acknowledged, where a site says nothing: a centre is backed up once a week at the least, and
64 MiB hold some 300,000 records."""


@dataclass(frozen=True, slots=True)
class Site:
    """One version of one site. version: grows with every publication. time_zone: IANA name.

    group_public_numbers: E.164 or "", in the order of `groups`. recipients: age recipients of recordings.
    pause_codes: by which a telephone pauses its recording. retention: how long which recordings are kept.
    keeping: of recordings; record_keeping: of statistics and plain events; copy_keeping: of
    records that the centre has acknowledged, where 0 MiB means none.
    merged_changes, refused_changes: ids of changes made at boxes that the centre has decided on.
    warnings: what the operator should know although the document is usable. media: what FreeSWITCH answers.
    codes_named: ids of the features whose code the document names itself.
    """

    version: int
    id: str
    name: str
    tenant: str
    time_zone: str
    policy: Policy
    extensions: tuple[Extension, ...]
    credentials: tuple[Credential, ...]
    groups: tuple[Group, ...]
    group_public_numbers: tuple[str, ...]
    remote_extensions: tuple[RemoteExtension, ...]
    recipients: tuple[str, ...]
    merged_changes: tuple[str, ...] = ()
    refused_changes: tuple[str, ...] = ()
    upload_limits: tuple[UploadLimit, ...] = ()
    pause_codes: PauseCodes = NO_CODES
    retention: RetentionPlan = NO_RETENTION
    keeping: Keeping = Keeping()
    record_keeping: Keeping = RECORDS_KEPT
    copy_keeping: Keeping = COPIES_KEPT
    warnings: tuple[Problem, ...] = ()
    media: MediaPlan = field(default_factory=MediaPlan)
    codes_named: frozenset[str] = frozenset()

    @property
    def public_numbers(self) -> tuple[tuple[str, str], ...]:
        """(E.164, number inside) of every number that the site answers from outside."""
        extensions = ((one.public_number, one.number) for one in self.extensions)
        groups = (
            (e164, group.number) for e164, group in zip(self.group_public_numbers, self.groups, strict=True)
        )
        applications = ((one.public_number, one.number) for one in self.media.applications)
        return tuple(pair for pair in (*extensions, *groups, *applications) if pair[0])

    def with_warnings(self, warnings: tuple[Problem, ...]) -> "Site":
        """The same site with what its document's reading remarked."""
        return replace(self, warnings=warnings)
