"""Recordings that tenants bring as prompts: stored once by their hash, named in site documents, handed to the tenant's boxes.

What a site plays is what its document says; there is no second list. A recording lies where call recordings do, in a folder
of its tenant whose name no site can have, and never changes: another recording is another name.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from appliance import site as site_document
from appliance.errors import KyusaiError
from appliance.freeswitch.applications import Prompt
from appliance.problems import Problems
from appliance.site import SiteInvalid
from appliance.site_flows import PROMPT_ID
from appliance.site_media_rules import MEDIA_TEMPLATES
from cloudsync.prompt_audio import PromptAudio
from cloudsync.refusals import NotFound, Refused
from cloudsync.service.access import BoxIdentity
from cloudsync.service.centre import Centre
from cloudsync.service.sites import require_site
from cloudsync.storage import Storage
from cloudsync.store import audit, configs, sites
from cloudsync.wire import PROMPT_PIECE_BYTES, Json


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recording is to be played. tenant: all its sites, or "" for `site` alone. prompt: id.

    Raises KyusaiError `prompt.id` for one that no document could name."""

    prompt: str
    language: str
    site: str = ""
    tenant: str = ""

    def __post_init__(self) -> None:
        if not PROMPT_ID.holds(self.prompt):
            raise KyusaiError(
                "prompt.id",
                f"{self.prompt!r:.80} is no id of a prompt; it is {PROMPT_ID.expected}",
                f"Such as {PROMPT_ID.example}: flows and applications name the prompt by it.",
                value=self.prompt[:80],
                example=PROMPT_ID.example,
            )


@dataclass(frozen=True, slots=True)
class Listed:
    """A recording that a site's newest document names. seconds: None where it is not stored."""

    site: str
    prompt: str
    language: str
    sha256: str
    bytes: int | None


def folder(tenant_id: str) -> str:
    """Where a tenant's recordings are, beside those of sites, whose ids begin with a letter or a digit."""
    return f"_{tenant_id}"


def planned(centre: Centre, place: Place, sha256: str) -> dict[str, str]:
    """Site -> its newest document with the recording in it, as JSON text; sites without any document are left out.

    Raises as `add`, and `SiteInvalid` where such a document could not be published."""
    with centre.database.read() as connection:
        _, site_ids = _for(connection, place)
        newest = configs.newest_of(connection, site_ids)
    found = {
        site_id: _with(json.loads(envelope.document), place, sha256) for site_id, envelope in newest.items()
    }
    for document in found.values():
        site_document.parse(document)
    return {site_id: json.dumps(document, ensure_ascii=False) for site_id, document in found.items()}


def add(centre: Centre, audio: PromptAudio, place: Place, actor: str) -> None:
    """Store a recording for a site's tenant, or a tenant. Blocks. May be repeated. Where documents are to name it, `planned` says
    first whether they can.

    Raises NotFound `site.unknown`, `tenant.unknown`."""
    with centre.database.read() as connection:
        tenant_id, _ = _for(connection, place)
    centre.blobs.put_whole(folder(tenant_id), audio.sha256, audio.sha256, iter((audio.wav,)))
    with centre.database.write() as connection:
        detail = {"prompt": place.prompt, "language": place.language, "sha256": audio.sha256}
        audit.add(connection, centre.now_utc(), actor, "prompt.add", place.site or tenant_id, **detail)


def entry(place: Place, sha256: str) -> dict[str, str]:
    """What stands in a document's `prompts`."""
    return {"id": place.prompt, f"{place.language}_audio": sha256}


def _with(document: dict[str, Json], place: Place, sha256: str) -> dict[str, Json]:
    prompts = document.setdefault("prompts", [])
    for one in prompts:
        if one.get("id") == place.prompt:
            one |= entry(place, sha256)
            return document
    prompts.append(entry(place, sha256))
    return document


def require_stored(storage: Storage, tenant_id: str, prompts: tuple[Prompt, ...]) -> None:
    """Raises `SiteInvalid` for recordings that a document names and nobody has stored. Blocks."""
    problems = Problems(MEDIA_TEMPLATES)
    for index, prompt in enumerate(prompts):
        for language, sha256 in prompt.audio:
            if storage.whole_bytes(folder(tenant_id), sha256, sha256) is None:
                where = f"$.prompts[{index}].{language}_audio"
                problems.add(where, "media.prompt_not_stored", value=f"{sha256[:16]}…", tenant=tenant_id)
    if problems.found:
        raise SiteInvalid(problems.listed())


def piece(centre: Centre, who: BoxIdentity, sha256: str, begin: int) -> tuple[bytes, int]:
    """Bytes of a recording from `begin` on, `PROMPT_PIECE_BYTES` at most, and how many it has. Blocks.

    Raises Refused `prompt.unknown` (404) for one that no document of the box's site has ever named, whoever stored it."""
    with centre.database.read() as connection:
        site = require_site(sites.find(connection, who.site_id), who.site_id)
        named = configs.names(connection, who.site_id, sha256)
    size_bytes = centre.blobs.whole_bytes(folder(site.tenant_id), sha256, sha256) if named else None
    if size_bytes is None:
        raise Refused(
            404,
            "prompt.unknown",
            f"no prompt {sha256[:16]}… is stored for site {who.site_id!r}",
            "Store it with kyusai centre prompt add, and publish the site's document again.",
            site=who.site_id,
            sha256=sha256[:16],
        )
    count = min(PROMPT_PIECE_BYTES, max(0, size_bytes - begin))
    data = centre.blobs.read_range(folder(site.tenant_id), sha256, sha256, begin, count) if count else b""
    return data, size_bytes


def listed(centre: Centre, site_id: str) -> list[Listed]:
    """What the newest documents name, of one site or all."""
    with centre.database.read() as connection:
        known = sites.every(connection)
        newest = configs.newest_of(connection, [one.id for one in known])
    found = []
    for site in known:
        if site.id not in newest or site_id not in ("", site.id):
            continue
        for prompt, language, sha256 in _named(newest[site.id].document):
            size_bytes = centre.blobs.whole_bytes(folder(site.tenant_id), sha256, sha256)
            found.append(Listed(site.id, prompt, language, sha256, size_bytes))
    return found


@dataclass(frozen=True, slots=True)
class Stored:
    """A recording as backups and moves copy it."""

    site_id: str
    id: str
    cipher_sha256: str
    bytes: int


def stored(connection: Connection, storage: Storage) -> Iterator[Stored]:
    """Every recording that a newest document names, once. Blocks."""
    known = {one.id: one.tenant_id for one in sites.every(connection)}
    seen: set[tuple[str, str]] = set()
    for site_id, envelope in configs.newest_of(connection, list(known)).items():
        for _, _, sha256 in _named(envelope.document):
            key = (folder(known[site_id]), sha256)
            if key not in seen:
                seen.add(key)
                yield Stored(*key, sha256, storage.whole_bytes(*key, sha256) or 0)


def _named(document: str) -> Iterator[tuple[str, str, str]]:
    if '_audio"' not in document:
        return
    for prompt in json.loads(document).get("prompts", []):
        for language in ("ja", "en"):
            if sha256 := prompt.get(f"{language}_audio"):
                yield str(prompt.get("id", "")), language, str(sha256)


def _for(connection: Connection, place: Place) -> tuple[str, tuple[str, ...]]:
    if place.site:
        site = require_site(sites.find(connection, place.site), place.site)
        return site.tenant_id, (site.id,)
    if not sites.tenant_exists(connection, place.tenant):
        raise NotFound(
            "tenant.unknown",
            f"there is no tenant {place.tenant!r}",
            "`kyusai sites` shows each site's tenant.",
            tenant=place.tenant,
        )
    return place.tenant, tuple(one.id for one in sites.every(connection) if one.tenant_id == place.tenant)
