"""The site document: parse, validate, list every problem with its path. Pure; reads and writes nothing.

One document says all of a site (`docs/site-document.md`). It is used as a whole or not at all: a document with one
fault is refused with all of its faults, and the running version stays.
"""

import json

from appliance import site_media_checks
from appliance.digest import digest_ha1
from appliance.field_rules import FIELD_TEMPLATES
from appliance.freeswitch.flow import Kind as NodeKind
from appliance.problems import DocumentError, Problem, Problems
from appliance.reader import Asked, Document, Table
from appliance.site_checks import check
from appliance.site_fields import read
from appliance.site_media_rules import MEDIA_TEMPLATES
from appliance.site_model import Credential, RemoteExtension, Site
from appliance.site_rules import SITE_TEMPLATES, TEXT_TEMPLATES

__all__ = [
    "DOCUMENT_MAX_BYTES",
    "Credential",
    "RemoteExtension",
    "Site",
    "SiteInvalid",
    "SiteProblem",
    "digest_ha1",
    "fields",
    "loads",
    "parse",
    "validate",
]

DOCUMENT_MAX_BYTES = 32 * 1024 * 1024
"""Largest document: twice the size of a site with every list full. Reading it takes some 2 s and 300 MB."""

SiteProblem = Problem

ALL_TEMPLATES = FIELD_TEMPLATES | SITE_TEMPLATES | MEDIA_TEMPLATES | TEXT_TEMPLATES
"""Every rule that a site document can break."""


class SiteInvalid(DocumentError):
    """A site document has faults; `problems` lists them in order, with path, key, message and hint."""

    def __init__(self, problems: tuple[SiteProblem, ...]) -> None:
        super().__init__("site.invalid", "the site document", problems)


def loads(text: str | bytes) -> Site:
    """Parse the document's JSON text (RFC 8259, UTF-8). Raises `SiteInvalid` with every problem."""
    problems = Problems(ALL_TEMPLATES)
    document = _json(text, problems)
    if problems.found:
        raise SiteInvalid(problems.listed())
    return parse(document)


def parse(document: object) -> Site:
    """The site that a decoded document describes. Raises `SiteInvalid` with every problem."""
    site, found = _examine(document)
    if found:
        raise SiteInvalid(found)
    return site


def validate(document: object) -> tuple[SiteProblem, ...]:
    """Every problem of a decoded document, in order; empty when it can be used."""
    return _examine(document)[1]


def fields() -> dict[str, Asked]:
    """Every field of the format: path with [] for an index -> type and default. For the documentation."""
    lists = (
        "extensions",
        "groups",
        "remote_extensions",
        "upstreams",
        "gateways",
        "applications",
        "prompts",
        "mailboxes",
        "queues",
    )
    inner = {"keys": [{}], "cases": [{"at_least": 0}], "send": [{}], "fields": [{}]}
    nodes = [{"do": kind, **inner} for kind in NodeKind]
    media = {"flows": [{"nodes": nodes}], "schedules": [{"hours": [{}]}]}
    record = Document(Problems(ALL_TEMPLATES))
    sync: dict[str, object] = {
        "sync": {"recordings": {"limits": [{}]}},
        "recording": {"retention": [{}], "retention_rules": [{}]},
    }
    read(Table({**{name: [{}] for name in lists}, **media, **sync}, "$", record))
    return record.asked


def _examine(document: object) -> tuple[Site, tuple[SiteProblem, ...]]:
    problems = Problems(ALL_TEMPLATES)
    site = read(Table(document, "$", Document(problems)))
    check(site, problems)
    extensions = frozenset(one.number for one in site.extensions)
    site_media_checks.check(site.media, extensions, problems)
    return site.with_warnings(tuple(problems.warnings)), problems.listed()


def _json(text: str | bytes, problems: Problems) -> object:
    raw = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    if len(raw) > DOCUMENT_MAX_BYTES:
        problems.add("$", "json.large", length=len(raw), most=DOCUMENT_MAX_BYTES)
        return None

    def pairs(found: list[tuple[str, object]]) -> dict[str, object]:
        table: dict[str, object] = {}
        for name, value in found:
            if name in table:
                problems.add("$", "json.doubled", name=ascii(name))
            table[name] = value
        return table

    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=pairs)
    except UnicodeDecodeError as error:
        problems.add("$", "json.encoding", detail=f"{error.reason} at byte {error.start}")
    except RecursionError:
        problems.add("$", "json.deep")
    except ValueError as error:
        problems.add("$", "json.syntax", detail=str(error))
    return None
