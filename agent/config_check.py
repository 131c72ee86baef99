"""Judges a signed envelope: signature, site, version, then the document as a whole. Opens nothing.

Only a document whose signature fits is believed in anything, also in its version number: whoever could raise the
number of the last version seen could keep every later one away from the box.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from agent.identity import signed_by
from appliance import site
from appliance.errors import KyusaiError
from appliance.problems import one_line
from cloudsync.wire import ConfigKey, Envelope, Reason, envelope_signing_bytes, reason_of


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom the box believes. site_id, keys: as enrolled."""

    site_id: str
    keys: tuple[ConfigKey, ...]

    def knows(self, key_id: str) -> bool:
        """Whether a key of that name is believed."""
        return any(key.key_id == key_id for key in self.keys)


class ConfigRefused(KyusaiError):
    """A document that is not taken. believed: its signature fits, so the refusal may be remembered by its version.
    problems: all of them."""

    def __init__(
        self,
        key: str,
        message: str,
        hint: str = "",
        *,
        believed: bool,
        problems: tuple[Reason, ...] = (),
        **values: object,
    ) -> None:
        super().__init__(key, message, hint, **values)
        self.believed = believed
        self.problems = problems or (reason_of(one_line("", message, hint), key, values),)


def examine(envelope: Envelope, trust: Trust, newest: int) -> site.Site:
    """The site that the envelope carries. newest: highest version that was ever judged. Raises `ConfigRefused`.

    Takes seconds for a very large site: call it in a thread.
    """
    _check_signature(envelope, trust)
    document = _decode(envelope)
    _check_identity(envelope, document, trust, newest)
    try:
        return site.loads(envelope.document)
    except site.SiteInvalid as invalid:
        faults = tuple(
            reason_of(one_line(one.path, one.message, one.hint), one.key, one.values, one.path)
            for one in invalid.problems
        )
        raise ConfigRefused(
            "config.invalid",
            f"version {envelope.version} has {len(faults)} faults",
            "Correct them at the centre and publish again; the running version stays in use.",
            believed=True,
            problems=faults,
            version=envelope.version,
            count=len(faults),
        ) from None


def _check_signature(envelope: Envelope, trust: Trust) -> None:
    if not trust.knows(envelope.key_id):
        raise ConfigRefused(
            "config.key",
            f"the document is signed with the key {envelope.key_id[:40]!r}, which this box does not trust",
            "A new key is believed when the one before it vouches for it (`kyusai centre keys rotate`); "
            "enrol the box again if the centre was made anew.",
            believed=False,
            key_id=envelope.key_id[:40],
        )
    message = envelope_signing_bytes(envelope.document)
    if not signed_by(trust.keys, envelope.key_id, message, envelope.signature):
        raise ConfigRefused(
            "config.signature",
            "the document's signature does not fit: it was changed after it was signed",
            "If this repeats, somebody tampers with the line or the centre's store is damaged.",
            believed=False,
        )


def _decode(envelope: Envelope) -> Mapping[str, object]:
    try:
        document = json.loads(envelope.document)
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else {}


def _check_identity(envelope: Envelope, document: Mapping[str, object], trust: Trust, newest: int) -> None:
    """That the document is for this site, newer than all before, and the version that the envelope says."""
    owner = document.get("site")
    site_id = owner.get("id") if isinstance(owner, dict) else None
    if isinstance(site_id, str) and site_id != trust.site_id:
        raise ConfigRefused(
            "config.other_site",
            f"the document is for the site {site_id[:63]!r}; this box belongs to {trust.site_id!r}",
            "Publish it for the right site.",
            believed=False,
            site=site_id[:63],
            own=trust.site_id,
        )
    version = document.get("version")
    if version != envelope.version:
        raise ConfigRefused(
            "config.version_differs",
            f"the envelope says version {envelope.version}, the signed document {str(version)[:20]}",
            believed=False,
            envelope=envelope.version,
            document=str(version)[:20],
        )
    if envelope.version <= newest:
        raise ConfigRefused(
            "config.old",
            f"version {envelope.version} is not newer than {newest}, the last one that was judged",
            "Publish it again: that gives it a new version.",
            believed=False,
            version=envelope.version,
            newest=newest,
        )
