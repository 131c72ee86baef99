"""Digest authentication of phones: challenges, credentials, verdicts. Pure.

Kamailio's auth module knows one algorithm per server; phones need MD5 and SHA-256 side by side (RFC 8760), so this is
done here, with the HA1 values of the route snapshot. RFC 7616 gives the arithmetic, RFC 3261 section 22 the use in SIP.

A nonce is the time of its making and a hash over that time, the sender's address, the realm and a secret: no state is kept, a
nonce caught on the wire is worth nothing from another address, and after `NONCE_S` nothing from anywhere. routes.cfg makes
the same ones (`route[CHALLENGE]`). An unknown user costs the same arithmetic as a known one.

The hashes are CPython's own: those of hashlib come from OpenSSL, whose memory Kamailio's tls module has moved into
shared memory behind a lock.
"""

import re
from _md5 import md5  # type: ignore[import-not-found]
from _operator import _compare_digest as same
from _sha256 import sha256  # type: ignore[import-not-found]
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Protocol

NONCE_S = 300
"""How long a nonce is good: a phone that registers every few minutes saves a challenge now and then."""

CLOCK_SLACK_S = 5
"""How far in the future a nonce may lie: the box's clock may have been put back since it was made."""

HASH_CHARACTERS = 24
"""Of a nonce: 96 bits of the hash."""

SECRET_BYTES = 32
"""Length of the key that nonces are made with; drawn anew at every start, which costs each phone one "stale"."""

FIELD_MAX_CHARACTERS = 2048
"""A longer Authorization header is no phone's."""

MD5, SHA256 = "MD5", "SHA-256"
OFFERED = (MD5, SHA256)
"""Order of the challenges, see `challenges`."""


class Verdict(StrEnum):
    """STALE: the right password over an old nonce. ABSENT: no credentials for this realm, or unreadable ones."""

    GOOD = "good"
    STALE = "stale"
    WRONG = "wrong"
    ABSENT = "absent"


class Secrets(NamedTuple):
    """What is kept of a user's password; "" where that hash is not kept. number: the extension he owns."""

    number: str
    ha1_md5: str
    ha1_sha256: str


class Question(NamedTuple):
    """What credentials are judged against. source: the sender's address. now_s: seconds since 1970."""

    realm: str
    method: str
    ruri_user: str
    source: str
    now_s: int
    key: str


_PAIR = re.compile(r'([a-zA-Z][\w*-]*)\s*=\s*(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^\s,"]+))')
_USER = re.compile(r"sips?:(?:([^@;?>]*)@)?", re.IGNORECASE)


class _Hash(Protocol):
    def hexdigest(self) -> str: ...


_HASHES: dict[str, Callable[[bytes], "_Hash"]] = {MD5: md5, SHA256: sha256}


def read(header: str) -> dict[str, str]:
    """Parameters of an Authorization header, names in lower case; {} for anything that is not Digest credentials."""
    if header[:7].lower() != "digest " or len(header) > FIELD_MAX_CHARACTERS:
        return {}
    found = {name.lower(): plain or quoted for name, quoted, plain in _PAIR.findall(header, 7)}
    return found if "response" in found and "nonce" in found and "username" in found else {}


def for_realm(headers: list[str], realm: str) -> dict[str, str]:
    """The credentials for `realm` among several headers, {} when there are none."""
    for header in headers:
        given = read(header)
        if given and given.get("realm") == realm:
            return given
    return {}


def nonce(now_s: int, source: str, realm: str, key: str) -> str:
    """A nonce made at `now_s` for a sender. The secret stands last and the hash is cut, so that it cannot be carried on."""
    text = f"{now_s}:{source}:{realm}:{key}".encode("utf-8", "replace")
    return f"{now_s}{sha256(text).hexdigest()[:HASH_CHARACTERS]}"


def challenges(realm: str, given: str, stale: bool, algorithms: tuple[str, ...] = OFFERED) -> list[str]:
    """Values for WWW-Authenticate or Proxy-Authenticate headers, one for each algorithm, in this order. given: the nonce.

    RFC 8760 section 2.4 lets a phone take the first that it supports, so the best should be first; but phones in the field
    (and sipp) look at the first header alone and give up when they do not know its algorithm. MD5 goes first: what an
    eavesdropper on the LAN could do with its HA1 he can do with the call itself.
    """
    head = f'Digest realm="{realm}", nonce="{given}", algorithm='
    tail = ', qop="auth", stale=true' if stale else ', qop="auth"'
    return [f"{head}{algorithm}{tail}" for algorithm in algorithms]


def judge(given: dict[str, str], secrets: Secrets | None, question: Question) -> Verdict:
    """Whether `given` proves that its sender knows the password behind `secrets` (None: no such user)."""
    if not given or given.get("realm") != question.realm:
        return Verdict.ABSENT
    algorithm = given.get("algorithm", MD5).upper()
    if algorithm not in _HASHES or given.get("qop", "auth") != "auth":
        return Verdict.ABSENT
    kept = "" if secrets is None else secrets.ha1_md5 if algorithm == MD5 else secrets.ha1_sha256
    wanted = _response(given, kept or _NOBODY, question.method, _HASHES[algorithm])
    right = same(wanted, given["response"].lower()) if given["response"].isascii() else False
    if not (right and kept and _same_target(given.get("uri", ""), question.ruri_user)):
        return Verdict.WRONG
    return Verdict.GOOD if _fresh(given["nonce"], question) else Verdict.STALE


_NOBODY = "0" * 64
"""HA1 that an unknown user is judged by, so that his answer takes as long."""


def _response(given: dict[str, str], ha1: str, method: str, hash_of: Callable[[bytes], _Hash]) -> str:
    ha2 = hash_of(f"{method}:{given.get('uri', '')}".encode("utf-8", "replace")).hexdigest()
    if "qop" in given:
        text = f"{ha1}:{given['nonce']}:{given.get('nc', '')}:{given.get('cnonce', '')}:auth:{ha2}"
    else:
        text = f"{ha1}:{given['nonce']}:{ha2}"  # RFC 2069, which RFC 3261 section 22.4 still admits
    return hash_of(text.encode("utf-8", "replace")).hexdigest()


def _same_target(uri: str, ruri_user: str) -> bool:
    """The signed URI names the user that is asked for: credentials of one call do not open another. Its host may have been
    rewritten on the way."""
    found = _USER.match(uri)
    return found is not None and (found.group(1) or "").partition(":")[0] == ruri_user


def _fresh(given: str, question: Question) -> bool:
    try:
        made_s = int(given[:-HASH_CHARACTERS])
    except ValueError:
        return False
    age_s = question.now_s - made_s
    if not -CLOCK_SLACK_S <= age_s <= NONCE_S:
        return False
    wanted = nonce(made_s, question.source, question.realm, question.key)
    return bool(same(wanted, given)) if given.isascii() else False
