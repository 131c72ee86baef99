"""CORE. The chain over the audit trail: each line's hash covers the one before it, so nothing can be altered, removed or put
between afterwards without its showing. Whoever noted the last hash can tell even a chain that was made anew."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cloudsync.wire import GENESIS_HASH, canonical_json

FIELDS = ("serial", "at_utc", "actor", "action", "subject", "detail")
"""What a line says; `detail` is JSON text."""


class Fault(StrEnum):
    """MISSING: the line is gone. ALTERED: it says something else, or it or one before it was put in. GAP: seals are gone.
    OTHER_TRAIL: a noted head is not in this chain. UNSIGNED: the note was not signed by this centre."""

    MISSING = "missing"
    ALTERED = "altered"
    GAP = "gap"
    OTHER_TRAIL = "other_trail"
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A seal and its line. line: the fields of FIELDS, None when it is gone."""

    position: int
    serial: int
    hash: str
    line: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Found:
    """A fault at a place of the chain."""

    fault: Fault
    position: int
    serial: int


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: `count` lines, the last one's hash. Signed by the centre, it can be kept elsewhere."""

    count: int = 0
    hash: str = GENESIS_HASH
    utc: str = ""
    key_id: str = ""
    signature: str = ""


def line_hash(prev_hash: str, line: Mapping[str, Any]) -> str:
    """SHA-256 in hex over the hash before and everything that the line says."""
    said = canonical_json([line[name] for name in FIELDS])
    return hashlib.sha256(b"kyusai-audit-v1\0" + f"{prev_hash}\0{said}".encode()).hexdigest()


def head_signing_bytes(head: Mapping[str, Any]) -> bytes:
    """What the centre signs of a head: all of it but the signature itself."""
    said = {name: value for name, value in head.items() if name != "signature"}
    return b"kyusai-audit-head-v1\0" + canonical_json(said).encode()


class Checker:
    """Walks a chain from its beginning. faults: what was found; head: of what was walked."""

    def __init__(self, noted: Head | None = None) -> None:
        self._noted = noted
        self._met = noted is None or noted.count == 0
        self.faults: list[Found] = []
        self.head = Head()

    def walk(self, sealed: Iterable[Sealed]) -> None:
        """Take the next seals into account, in their order."""
        for one in sealed:
            if one.position != self.head.count + 1:
                self._fault(Fault.GAP, one)
            elif one.line is None:
                self._fault(Fault.MISSING, one)
            elif line_hash(self.head.hash, one.line) != one.hash:
                self._fault(Fault.ALTERED, one)
            self.head = Head(one.position, one.hash)
            if self._noted is not None and one.position == self._noted.count:
                self._met = one.hash == self._noted.hash

    def end(self) -> list[Found]:
        """The faults of the whole chain, and whether the noted head is in it."""
        if not self._met and self._noted is not None:
            self.faults.append(Found(Fault.OTHER_TRAIL, self._noted.count, 0))
        return self.faults

    def _fault(self, fault: Fault, one: Sealed) -> None:
        self.faults.append(Found(fault, one.position, one.serial))
