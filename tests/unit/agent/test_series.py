"""What the box records of itself once a minute, and when it leaves that for the sake of call records."""

import json
from dataclasses import replace

import pytest

from agent.series import EVERY_S, NONE_FROM, THINNED_EVERY_S, THINNED_FROM, body, pause_s
from agent.status import KamailioStatus, SpoolStatus, Status
from cloudsync.wire import RECORD_BYTES_MAX

STATUS = Status("box", "site", "Site", "0", "2026-11-21T00:00:00.000Z", 12.3, survival_mode=True)


@pytest.mark.parametrize(
    ("waiting", "every_s"),
    [
        (0, EVERY_S),
        (THINNED_FROM - 1, EVERY_S),
        (THINNED_FROM, THINNED_EVERY_S),
        (NONE_FROM - 1, THINNED_EVERY_S),
        (NONE_FROM, None),
    ],
)
def test_figures_come_less_often_the_more_waits_and_end_before_call_records_do(
    waiting: int, every_s: float | None
) -> None:
    assert pause_s(waiting) == every_s


def test_figures_say_what_is_known_and_leave_out_what_is_not() -> None:
    well = replace(
        STATUS,
        kamailio=KamailioStatus(alive=True, registered_contacts=42),
        spool=SpoolStatus(waiting=7),
    )
    made = body(well, 60.0)
    assert (made["series"], made["every_s"], made["links"]) == ("box", 60.0, {})
    figures = made["figures"]
    assert (figures["survival_mode"], figures["registered_endpoints"], figures["spool_records"]) == (1, 42, 7)
    assert "active_calls" not in figures
    assert len(json.dumps(made)) < RECORD_BYTES_MAX / 10
