"""Who may stop recordings, and what silence means."""

import pytest

from appliance.kamailio.recording_order import BY_AGENT, BY_JOURNAL, DISK, OFF, TABLE, refused


@pytest.mark.parametrize(
    ("said", "why"),
    [
        pytest.param({}, "", id="nobody has said anything: a dead agent leaves recording on"),
        pytest.param({BY_AGENT: OFF}, DISK, id="the agent sees little room"),
        pytest.param({BY_JOURNAL: OFF}, DISK, id="the journal found none"),
        pytest.param({BY_AGENT: OFF, BY_JOURNAL: OFF}, DISK, id="both"),
        pytest.param({BY_AGENT: "?"}, "", id="a word that nobody writes"),
    ],
)
def test_recording_is_refused_by_either_word_and_by_nothing_else(said: dict[str, str], why: str) -> None:
    assert refused(lambda table, key: said.get(key, "") if table == TABLE else "") == why
