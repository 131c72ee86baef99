"""Where requests of many boxes come together before the store is asked: one transaction for all that come within a moment."""

from dataclasses import dataclass

from cloudsync.gathering import Gathering
from cloudsync.service import access, polls, telemetry
from cloudsync.service.access import BoxIdentity, Proof
from cloudsync.service.centre import Centre
from cloudsync.service.polls import Ask
from cloudsync.service.telemetry import Beat, HeartbeatAnswer
from cloudsync.store.boxes import Configured
from cloudsync.wire import Envelope

TOGETHER_MAX = 500
"""One statement's parameters stay far below what either database takes."""
HEARTBEATS_PAUSE_S = 0.1
"""Heartbeats of 10,000 boxes come at 1,000 a second: a commit for a hundred of them. Nobody waits for the answer."""
IDENTITIES_PAUSE_S, IDENTITIES_BUSY_PER_S = 0.01, 200.0
"""Records and recordings wait for this one, so it waits for others only where there are many."""
TOKENS_MAX = 50
"""A signature takes a tenth of a millisecond to check, and others wait for the transaction that does it."""
DOCUMENTS_MAX = 50
"""Documents in memory at a time: the largest has 10 MB."""


@dataclass(frozen=True, slots=True)
class Desks:
    """One for each thing that thousands of boxes ask for all the time."""

    challenges: Gathering[str, str]
    tokens: Gathering[Proof, str]
    identities: Gathering[str, BoxIdentity]
    heartbeats: Gathering[tuple[str, Beat], HeartbeatAnswer]
    documents: Gathering[Ask, Envelope | None]
    reports: Gathering[tuple[BoxIdentity, Configured], None]

    @classmethod
    def of(cls, centre: Centre) -> "Desks":
        """The desks of one process."""
        return cls(
            Gathering(lambda box_ids: access.make_challenges(centre, box_ids), most=TOGETHER_MAX),
            Gathering(lambda proofs: access.issue_tokens(centre, proofs), most=TOKENS_MAX),
            Gathering(
                lambda tokens: access.identify_all(centre, tokens),
                most=TOGETHER_MAX,
                pause_s=IDENTITIES_PAUSE_S,
                busy_per_s=IDENTITIES_BUSY_PER_S,
            ),
            Gathering(
                lambda beats: telemetry.heartbeats(centre, beats),
                most=TOGETHER_MAX,
                pause_s=HEARTBEATS_PAUSE_S,
            ),
            Gathering(lambda asks: polls.documents(centre, asks), most=DOCUMENTS_MAX),
            Gathering(
                lambda told: polls.report_all(centre, told),
                most=TOGETHER_MAX,
                pause_s=IDENTITIES_PAUSE_S,
                busy_per_s=IDENTITIES_BUSY_PER_S,
            ),
        )
