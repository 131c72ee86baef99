"""The route snapshot's form: its tables, and values to and from their JSON rows. Pure.

The agent writes the snapshot (`appliance.snapshot`), Kamailio's workers read it (`snapshot_view`); this module is
what both agree on. A row written by a newer version may hold fields that this one does not know: they are
passed over, so that a box can go back to older software.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from appliance.feature_codes import Code
from appliance.kamailio.view import Application, Extension, Group, Peer, Policy
from appliance.model import CallControl, UpstreamAuth

FORMAT = 1
"""Grows when a reader of the old form could not use the new one."""

APPLICATION_ID = 0x4B595553
"""SQLite's application_id of a route snapshot: "KYUS"."""

PAGE_BYTES = 4096
"""SQLite's page size, stated so that the same site gives the same bytes whatever the library's default is."""

SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE policy (id INTEGER PRIMARY KEY CHECK (id = 1), doc TEXT NOT NULL)",
    "CREATE TABLE extension (number TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE credential (username TEXT PRIMARY KEY, number TEXT NOT NULL,"
    " ha1_md5 TEXT NOT NULL, ha1_sha256 TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE grp (number TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE public_number (e164 TEXT PRIMARY KEY, number TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE remote_extension (number TEXT PRIMARY KEY, e164 TEXT NOT NULL) WITHOUT ROWID",
)
"""Every look-up is by a primary key in one b-tree."""


def encode(row: Extension | Group | Policy) -> str:
    """A value as canonical JSON: sorted names, no spaces."""
    return json.dumps(
        dataclasses.asdict(row), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def extension(doc: str) -> Extension:
    """The extension in a row. Raises `ValueError`, `TypeError` or `KeyError` for a row in another form."""
    known = _known(json.loads(doc), Extension)
    lists = {name: tuple(known.get(name, ())) for name in ("allow", "blocked")}
    return Extension(**known | lists)


def group(doc: str) -> Group:
    """The group in a row; raises as `extension` does."""
    known = _known(json.loads(doc), Group)
    return Group(**known | {"members": tuple(known["members"])})


def policy(doc: str) -> Policy:
    """The policy in its row; raises as `extension` does."""
    known = _known(json.loads(doc), Policy)
    lists = ("emergency_numbers", "emergency_gateways", "lan_networks")
    later = {
        "applications": tuple(
            Application(**_known(one, Application)) for one in known.get("applications", ())
        ),
        "application_calls": tuple(known.get("application_calls", ())),
        "mailboxes": tuple(known.get("mailboxes", ())),
        "blocked": tuple(known.get("blocked", ())),
        "codes": tuple(Code(**_known(one, Code)) for one in known.get("codes", ())),
    }
    return Policy(
        **known
        | later
        | {name: tuple(known[name]) for name in lists}
        | {name: tuple(_peer(one) for one in known[name]) for name in ("upstreams", "gateways")}
        | {
            "call_control": CallControl(known["call_control"]),
            "upstream_auth": UpstreamAuth(known["upstream_auth"]),
        }
    )


def _peer(values: Mapping[str, object]) -> Peer:
    known = _known(values, Peer)
    return Peer(**known | {"kinds": tuple(known.get("kinds", ()))})


def _known(values: object, row: type) -> dict[str, Any]:
    """The fields of a decoded row that this version knows."""
    if not isinstance(values, Mapping):
        raise TypeError(f"a row of {row.__name__} must be an object")
    return {field.name: values[field.name] for field in dataclasses.fields(row) if field.name in values}
