"""The telephones of a benchmark, and the site document that knows them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.digest import digest_ha1
from tests.lab.addresses import Addresses
from tests.lab.site_document import site_document

REALM = "bench.example"
"""Written in the load generator's scenarios too."""


@dataclass(frozen=True)
class User:
    """One telephone. contact: address and port at which it answers. source: address that it sends from, where the load
    generator uses one for each telephone."""

    number: str
    password: str
    contact: str
    source: str = ""


def document(addresses: Addresses, users: Sequence[User], networks: Iterable[str] = ()) -> dict[str, Any]:
    """A site with these extensions whose calls the box controls itself, so that the box alone is measured."""
    site = {
        "id": "bench",
        "name": "Bench",
        "tenant": "bench",
        "time_zone": "Asia/Tokyo",
        "domain": REALM,
        "realm": REALM,
    }
    return site_document(
        addresses,
        {},
        site=site,
        call_control="local",
        upstreams=[],
        extensions=[_extension(user) for user in users],
        lan_networks=[f"{addresses.network}.96/27", f"{addresses.network}.128/25", *networks],
    )


def injection_file(path: Path, users: Iterable[User], callee: str = "") -> Path:
    """sipp's injection file: number; authentication; contact; number called; source address."""
    rows = [
        f"{user.number};[authentication username={user.number} password={user.password}];{user.contact};"
        f"{callee};{user.source}"
        for user in users
    ]
    path.write_text("\n".join(["SEQUENTIAL", *rows, ""]))
    return path


def _extension(user: User) -> dict[str, Any]:
    md5, sha256 = digest_ha1(user.number, REALM, user.password)
    return {
        "number": user.number,
        "username": user.number,
        "ha1_md5": md5,
        "ha1_sha256": sha256,
        "allow": ["local"],
        "record": "none",
    }
