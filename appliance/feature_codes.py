"""The one table of feature codes: what a telephone dials, or presses during a call, to use a feature. Pure.

A feature has an id that never changes and a code that a site may change or switch off (`feature_codes` in the site document,
`site_features`). Who performs a feature goes by its id alone. docs/feature-codes.md is this table for people; a test compares
them, and another sees to it that every feature that is `ready` has a row in tests/freeswitch/test_feature_codes.py.

The default codes are those that PBX users know (*97 and *98 voicemail, *8 pickup, *72 and *73 forwarding, *78 and *79
do not disturb). A code begins with a star, so that none can be a number, and no code that digits follow is the start of
another one.
"""

from dataclasses import dataclass
from enum import StrEnum


class Takes(StrEnum):
    """What is dialled behind a code. LOGIN: extension, star, PIN. NUMBER: any number that can be
    dialled. PLACE: a place where calls are parked."""

    NOTHING = "nothing"
    EXTENSION = "extension"
    NUMBER = "number"
    PLACE = "place"
    LOGIN = "login"


@dataclass(frozen=True, slots=True)
class Feature:
    """One row. code: the default. pressed: it is pressed during a call (DTMF), not dialled. ready: this software performs it;
    the others are kept free for it, can be neither dialled nor set, and stand in no guide."""

    id: str
    code: str
    takes: Takes = Takes.NOTHING
    pressed: bool = False
    ready: bool = False


FEATURES: tuple[Feature, ...] = (
    # voicemail
    Feature("voicemail_own", "*97", ready=True),
    Feature("voicemail_leave", "*98", Takes.EXTENSION, ready=True),
    # somebody else's call
    Feature("pickup", "*8", Takes.EXTENSION, ready=True),
    Feature("pickup_group", "*7", ready=True),
    Feature("park", "*70"),
    Feature("park_fetch", "*71", Takes.PLACE),
    # one's own calls
    Feature("forward_always_set", "*72", Takes.NUMBER, ready=True),
    Feature("forward_always_clear", "*73", ready=True),
    Feature("forward_busy_set", "*90", Takes.NUMBER, ready=True),
    Feature("forward_busy_clear", "*91", ready=True),
    Feature("forward_no_answer_set", "*92", Takes.NUMBER, ready=True),
    Feature("forward_no_answer_clear", "*93", ready=True),
    Feature("do_not_disturb_on", "*78", ready=True),
    Feature("do_not_disturb_off", "*79", ready=True),
    Feature("callback_set", "*66", ready=True),
    Feature("callback_cancel", "*68", ready=True),
    # callers that nobody wants
    Feature("block_last_caller", "*60", ready=True),
    Feature("unblock_last_caller", "*64", ready=True),
    Feature("anonymous_rejection_on", "*77", ready=True),
    Feature("anonymous_rejection_off", "*76", ready=True),
    # free addressing
    Feature("hot_desk_in", "*11", Takes.LOGIN, ready=True),
    Feature("hot_desk_out", "*12", ready=True),
    # the site
    Feature("schedule_open", "*61", ready=True),
    Feature("schedule_closed", "*62", ready=True),
    Feature("schedule_automatic", "*63", ready=True),
    # together
    Feature("conference", "*30", Takes.EXTENSION, ready=True),
    Feature("three_way", "*31", pressed=True),
    Feature("recording_pause", "*51", pressed=True),
    Feature("recording_resume", "*52", pressed=True),
    # to find out
    Feature("directory", "*411", ready=True),
    Feature("echo", "*43", ready=True),
    Feature("announce_number", "*65", ready=True),
)
"""In the order of the guide."""

READY: tuple[Feature, ...] = tuple(feature for feature in FEATURES if feature.ready)

OFF = "off"
"""In place of a code: the site has no such feature."""

LANGUAGES = ("ja", "en")
"""Features are spoken in one of these; the first is the default."""


@dataclass(frozen=True, slots=True)
class Code:
    """A feature in force at a site, with the code that it has there."""

    id: str
    code: str
    takes: str = Takes.NOTHING
    pressed: bool = False

    def argument(self, digits: str) -> str | None:
        """What follows the code in what was dialled; None: it is not this code."""
        if self.takes == Takes.NOTHING:
            return "" if digits == self.code else None
        return digits[len(self.code) :] if digits.startswith(self.code) else None


def clashes(one: Code, other: Code) -> bool:
    """Whether dialling one could mean the other."""
    return one.argument(other.code) is not None or other.argument(one.code) is not None
