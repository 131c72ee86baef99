"""The transcripts that other tests replay still have the form of what the FreeSWITCH on this machine says."""

from collections import defaultdict
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.helpers import esl_transcript
from tests.helpers.esl_transcript import Session, key_of
from tests.lab import esl_record
from tests.lab.lab import Lab

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

READ = {
    *(
        "Event-Name",
        "Event-Subclass",
        "Unique-ID",
        "Action",
        "Job-UUID",
        "Conference-Name",
        "Valet-Extension",
    ),
    *("Call-Direction", "Caller-Caller-ID-Number", "Caller-Destination-Number"),
    *("Other-Leg-Unique-ID", "Bridge-B-Unique-ID"),
}
"""Headers that the box's programs read. Others come and go with FreeSWITCH's versions."""

Form = tuple[list[tuple[str, str]], dict[str, set[str]]]
"""Commands with what answered them, in order; and for each kind of event those headers that the box reads and that all events
of the kind have."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with esl_record.lab_for_scenes() as lab:
        yield lab


def form(sessions: list[Session]) -> Form:
    talk: list[tuple[str, str]] = []
    headers: dict[str, list[set[str]]] = defaultdict(list)
    for session in sessions:
        for command, answers in session.answers().items():
            talk += [(key_of(command), esl_transcript.block_of(answer).kind) for answer in answers]
        for event in session.events:
            names = READ & set(event.headers)
            kind = " ".join(filter(None, (event.name, event.get("Action"), event.get("VM-Action"))))
            headers[kind].append(names)
    return talk, {name: set.intersection(*found) for name, found in headers.items()}


@pytest.mark.parametrize("scene", esl_transcript.SCENES)
async def test_what_freeswitch_says_has_the_form_that_was_recorded(lab: Lab, scene: str) -> None:
    """When this fails, look at what has changed, then record anew: python -m tests.lab.esl_record."""
    talk, recorded = form(esl_transcript.sessions(scene))
    said = await esl_record.record(lab, scene)
    talk_now, now = form(esl_transcript.split(said))
    assert talk_now == talk
    assert set(now) >= set(recorded)
    gone = {name: sorted(recorded[name] - now[name]) for name in recorded if recorded[name] - now[name]}
    assert gone == {}
