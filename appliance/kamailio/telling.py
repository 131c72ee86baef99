"""Tells both sides of an answered call that it is recorded, and begins the recording behind the sentence. Runs in a process of
its own, beside the look for lost audio.

Adapter over two tables and rtpengine. A worker puts the call into `TABLE` when somebody has answered (`order`), and the mark
`UNTOLD` into the table of paused recordings before that, so that nothing is captured. While rtpengine speaks, the two do not hear
each other: both audios at once reach a telephone as two streams, of which many play neither. Where it cannot be said within
`PATIENCE_MS` the call goes on as it is, and is not recorded.

Whoever picks a call up has a call of his own to the place where FreeSWITCH joins the two. He is told within that one: he hears it
whenever the two are joined, and where he is gone nobody is told, and nothing recorded.

What this process leaves unfinished when Kamailio dies it undoes when it begins: everybody hears everybody again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from appliance.kamailio.answer import Journal
from appliance.kamailio.compact_json import read, write
from appliance.kamailio.ksr_call import KsrCall
from appliance.kamailio.recording_order import PAUSED, UNTOLD
from appliance.media.ng import NgClient, RtpengineSilent

TABLE = "telling"
"""Name of the htable: call -> `order`."""

LEAD_MS = 400
"""After the answer: the caller has to hear of it, and a web phone's keys have to be agreed on."""

TAIL_MS = 200
"""After the sentence: what is on its way is still heard."""

MEETING_LEAD_MS = 2_000
"""Where an application of FreeSWITCH has answered: it has to bring people together first."""

AGAIN_MS = 300
PATIENCE_MS = 3_000
"""How long rtpengine is asked, from the first try: an answer that comes with the ACK is known to it only then."""

GONE = "Unknown call"
"""How rtpengine's words for a call that is over begin."""


Ear = tuple[str, str]
"""Whom rtpengine speaks to: Call-ID and tag of a telephone."""


def order(caller: Ear, other: Ear, meeting: bool = False) -> str:
    """What stands in `TABLE`: the two who are told. The caller's Call-ID is that of the call. meeting: others may come to hear it
    through FreeSWITCH."""
    return write([caller, other, MEETING_LEAD_MS if meeting else LEAD_MS])


@dataclass(slots=True)
class _Told:
    """One call. due_ms: when it goes on; until_ms: after that nothing more is tried."""

    ears: tuple[Ear, Ear]
    due_ms: int
    until_ms: int
    speaking: bool = False

    @property
    def call_id(self) -> str:
        """Of the call that is recorded."""
        return self.ears[0][0]

    @property
    def call_ids(self) -> tuple[str, ...]:
        """Of the calls in which nobody hears anybody meanwhile."""
        return tuple(dict.fromkeys(call_id for call_id, _ in self.ears))


class Telling:
    """sentence: path of the audio, "" for none. clock: monotonic milliseconds. calls_max: calls that are looked through at the
    start."""

    def __init__(
        self,
        ksr: KsrCall,
        journal: Journal,
        ng: NgClient,
        sentence: Callable[[], str],
        clock: Callable[[], int],
        calls_max: int,
    ) -> None:
        self._ksr = ksr
        self._journal = journal
        self._ng = ng
        self._sentence = sentence
        self._clock = clock
        self._calls_max = calls_max
        self._begun = False
        self._told: dict[str, _Told] = {}

    def tick(self) -> None:
        """One turn. Blocks on rtpengine, for its own limit and call at most."""
        if not self._begun:
            self._begun = self._undo()
        now_ms = self._clock()
        for call, text in self._ksr.table(TABLE).items():
            if call not in self._told:
                (id_1, tag_1), (id_2, tag_2), lead_ms = read(text)
                due_ms = now_ms + lead_ms
                self._told[call] = _Told(((id_1, tag_1), (id_2, tag_2)), due_ms, due_ms + PATIENCE_MS)
        for call, one in list(self._told.items()):
            if one.due_ms <= now_ms and (self._end(call, one) if one.speaking else self._speak(one, now_ms)):
                self._ksr.forget(TABLE, call)
                del self._told[call]

    def _speak(self, one: _Told, now_ms: int) -> bool:
        """True: the call is over, or it cannot be said."""
        sentence = self._sentence()
        if not sentence:
            return True
        error, lasts_ms = self._said(one, sentence)
        if not error:
            one.speaking, one.due_ms = True, now_ms + lasts_ms + TAIL_MS
            return False
        one.due_ms = now_ms + AGAIN_MS
        return error.startswith(GONE) or one.due_ms > one.until_ms

    def _said(self, one: _Told, sentence: str) -> tuple[str, int]:
        """What was wrong, "" for nothing, and how long the sentence is in milliseconds."""
        error, lasts_ms = "", 0
        for call_id, tag in one.ears:
            if not error:
                error, answer = self._ask("play media", call_id, from_tag=tag, file=sentence)
                duration = answer.get("duration", 0)
                lasts_ms = max(lasts_ms, duration if isinstance(duration, int) else 0)
        for call_id in one.call_ids:
            if not error and lasts_ms:
                error, _ = self._ask("block media", call_id)
        return error or ("" if lasts_ms else "nothing was played"), lasts_ms

    def _end(self, call: str, one: _Told) -> bool:
        """The sentence is over; somebody who has gone meanwhile may not have heard it. Always True."""
        errors = [self._ask("unblock media", call_id)[0] for call_id in one.call_ids]
        if any(errors) or not self._ksr.look("media", call):
            return True
        error = ""
        if self._ksr.look(PAUSED, one.call_id) == UNTOLD:
            self._ksr.forget(PAUSED, one.call_id)
            error, _ = self._ask("start recording", one.call_id)
        if not error:
            self._journal.put("media", call, {"announced": True})
        return True

    def _undo(self) -> bool:
        """Let everybody hear everybody. False: rtpengine did not answer."""
        try:
            for call_id in self._ng.calls(self._calls_max):
                self._ng.command("unblock media", call_id=call_id)
        except RtpengineSilent:
            return False
        return True

    def _ask(self, what: str, call_id: str, **arguments: str) -> tuple[str, dict[str, object]]:
        try:
            answer = self._ng.command(what, call_id=call_id, **arguments)
        except RtpengineSilent as error:
            return str(error), {}
        return ("" if answer.get("result") == "ok" else str(answer.get("error-reason") or "no")), answer
