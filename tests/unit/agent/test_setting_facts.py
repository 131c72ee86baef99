"""What was set at a telephone, as the centre hears of it: once, and nothing that the box did not write."""

from agent.journal_events import JournalEvent, Kind, Moment
from agent.setting_facts import record

AT = Moment("boot", 5_000, 1_700_000_000_000)
DATA = {"extension": "201", "what": "forward_always", "value": "09011112222", "was": "", "by": "201"}


def event(**changes: object) -> JournalEvent:
    return JournalEvent(7, "a@b#1", Kind.SETTING, AT, DATA | changes)


def test_a_setting_becomes_an_event_with_the_value_before() -> None:
    assert record("tokyo-1", "a", event()).body == {"event": "telephone_setting", **DATA}


def test_the_same_row_has_the_same_id_and_another_field_another() -> None:
    first = record("tokyo-1", "a", event())
    assert record("tokyo-1", "a", event()).id == first.id
    assert record("tokyo-1", "a", event(what="do_not_disturb")).id != first.id


def test_values_of_another_kind_are_dropped() -> None:
    assert record("tokyo-1", "a", event(value={"x": 1}, extension=5)).body == {
        "event": "telephone_setting",
        **DATA,
        "value": "",
        "extension": "",
    }
