"""Both sides of an answered call are told that it is recorded, and the recording begins behind the sentence or not at all."""

from dataclasses import dataclass, field
from typing import Any

from appliance.kamailio import telling
from appliance.kamailio.recording_order import PAUSED, UNTOLD
from appliance.kamailio.telling import LEAD_MS, PATIENCE_MS, TAIL_MS, Telling
from appliance.media.ng import RtpengineSilent

CALL, CALL_ID = "c@192.0.2.1#0a", "c@192.0.2.1"
SENTENCE, LASTS_MS = "/prompts/en/recorded.wav", 1500
PLAYED = [("play media", "a", SENTENCE), ("play media", "b", SENTENCE), ("block media", "", "")]


@dataclass
class Box:
    """Kamailio's tables, the journal, rtpengine and the clock."""

    tables: dict[str, dict[str, str]] = field(default_factory=dict)
    rows: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    of: list[str] = field(default_factory=list)
    gone: str = ""
    up: list[str] = field(default_factory=list)
    says: dict[str, str] = field(default_factory=dict)
    now_ms: int = 1_000
    silent: bool = False

    def table(self, name: str) -> dict[str, str]:
        return dict(self.tables.get(name, {}))

    def look(self, name: str, key: str) -> str:
        return self.tables.get(name, {}).get(key, "")

    def forget(self, name: str, key: str) -> None:
        self.tables.get(name, {}).pop(key, None)

    def put(self, event: str, call: str, data: dict[str, Any]) -> None:
        self.rows.append((event, call, data))

    def calls(self, limit: int) -> list[str]:
        if self.silent:
            raise RtpengineSilent("silent")
        return self.up[:limit]

    def command(self, name: str, call_id: str, from_tag: str = "", file: str = "") -> dict[str, Any]:
        if self.silent:
            raise RtpengineSilent("silent")
        self.asked.append((name, from_tag, file))
        self.of.append(call_id)
        fault = "Unknown call-ID" if call_id == self.gone else self.says.get(name)
        return {"result": "error", "error-reason": fault} if fault else {"result": "ok", "duration": LASTS_MS}

    def after(self, told: Telling, *ms: int) -> list[tuple[str, str, str]]:
        """What rtpengine is asked in turns after so many milliseconds each."""
        self.asked.clear()
        for one in ms:
            self.now_ms += one
            told.tick()
        return self.asked


def answered(other: telling.Ear = (CALL_ID, "b"), **changes: Any) -> tuple[Box, Telling]:
    box = Box(
        {
            telling.TABLE: {CALL: telling.order((CALL_ID, "a"), other)},
            PAUSED: {CALL_ID: UNTOLD},
            "media": {CALL: "up"},
        },
        **changes,
    )
    made: Any = box
    told = Telling(made, made, made, lambda: SENTENCE, lambda: box.now_ms, 10)
    told.tick()
    return box, told


def test_both_sides_hear_it_and_then_each_other_and_the_recording_begins() -> None:
    box, told = answered()
    assert box.after(told, LEAD_MS - 1) == []
    assert box.after(told, 1) == PLAYED
    assert box.after(told, LASTS_MS) == []
    assert box.look(PAUSED, CALL_ID) == UNTOLD
    assert box.after(told, TAIL_MS) == [("unblock media", "", ""), ("start recording", "", "")]
    assert box.rows == [("media", CALL, {"announced": True})]
    assert (box.table(PAUSED), box.table(telling.TABLE)) == ({}, {})
    assert box.after(told, LEAD_MS) == []


def test_who_picks_up_is_told_in_his_own_call_and_nothing_is_recorded_once_that_is_over() -> None:
    box, told = answered(("picker", "p"))
    assert box.after(told, LEAD_MS) == [
        ("play media", "a", SENTENCE),
        ("play media", "p", SENTENCE),
        ("block media", "", ""),
        ("block media", "", ""),
    ]
    assert box.of[-4:] == [CALL_ID, "picker", CALL_ID, "picker"]
    box.after(told, LASTS_MS + TAIL_MS)
    assert box.of[-3:] == [CALL_ID, "picker", CALL_ID], "the call itself is recorded"
    assert box.rows == [("media", CALL, {"announced": True})]
    for gone_before in (True, False):
        box, told = answered(("picker", "p"), gone="picker" if gone_before else "")
        box.after(told, LEAD_MS)
        box.gone = "picker"
        box.after(told, LASTS_MS + TAIL_MS)
        assert (box.rows, box.look(PAUSED, CALL_ID), box.table(telling.TABLE)) == ([], UNTOLD, {})


def test_what_rtpengine_does_not_know_yet_is_tried_again_and_what_it_cannot_play_is_not_recorded() -> None:
    box, told = answered(says={"play media": "Failed to start media playback from file"})
    assert box.after(told, LEAD_MS) == PLAYED[:1], "nobody is kept from hearing the other"
    box.says.clear()
    assert box.after(told, telling.AGAIN_MS) == PLAYED
    box, told = answered(says={"play media": "Failed to start media playback from file"})
    box.after(told, LEAD_MS, *[telling.AGAIN_MS] * (PATIENCE_MS // telling.AGAIN_MS))
    assert box.table(telling.TABLE) == {}
    assert (box.rows, box.look(PAUSED, CALL_ID)) == ([], UNTOLD)


def test_a_call_that_is_over_and_an_rtpengine_that_is_gone_leave_nothing_behind() -> None:
    box, told = answered(says={"play media": "Unknown call-ID"})
    assert box.after(told, LEAD_MS, LEAD_MS) == PLAYED[:1]
    assert box.table(telling.TABLE) == {}
    box, told = answered()
    box.after(told, LEAD_MS)
    box.forget("media", CALL)
    assert box.after(told, LASTS_MS + TAIL_MS) == [("unblock media", "", "")]
    assert (box.rows, box.table(telling.TABLE)) == ([], {})
    box, told = answered()
    box.silent = True
    box.after(told, LEAD_MS, PATIENCE_MS)
    assert (box.rows, box.table(telling.TABLE)) == ([], {})


def test_a_recording_that_somebody_else_has_stopped_stays_stopped() -> None:
    box, told = answered()
    box.after(told, LEAD_MS)
    box.tables[PAUSED][CALL_ID] = "pause"
    assert box.after(told, LASTS_MS + TAIL_MS) == [("unblock media", "", "")]
    assert box.rows == [("media", CALL, {"announced": True})]


def test_after_a_restart_of_kamailio_everybody_hears_everybody_again() -> None:
    box, told = answered(up=["x", "y"], silent=True)
    assert box.asked == []
    box.silent = False
    assert box.after(told, 1) == [("unblock media", "", "")] * 2
    assert box.after(told, 1) == []
