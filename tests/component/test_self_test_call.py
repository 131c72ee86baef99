"""Self-test calls against a real Kamailio: a document that validates and yet breaks calls is seen within seconds."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest
import pytest_asyncio

from agent.health import BROKEN_SAMPLES, HealthWatch, Verdict, Vitals
from agent.self_test import cases
from agent.self_test_call import place
from appliance import site
from cloudsync.wire import Reason
from tests.helpers.registrar_box import RegistrarBox, password_of, registrar_box
from tests.lab.addresses import SIP_PORT
from tests.lab.processes import wait_until
from tests.lab.site_document import extension

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def rig() -> AsyncIterator[RegistrarBox]:
    async with registrar_box(6) as made:
        yield made


async def vitals(rig: RegistrarBox) -> Vitals:
    parsed = site.loads(rig.box.layout.current.joinpath("document.json").read_bytes())
    answers = await place(rig.addresses.box_lan, SIP_PORT, cases(parsed))
    return Vitals(True, 0, 0, len(parsed.extensions), answers)


async def verdict(rig: RegistrarBox, before: Vitals) -> tuple[Verdict, tuple[Reason, ...]]:
    watch = HealthWatch(before, 0.0)
    said = [watch.look(await vitals(rig), float(number)) for number in range(BROKEN_SAMPLES)]
    return said[-1], watch.reasons


async def changed(rig: RegistrarBox, before: Vitals) -> None:
    """Wait until every worker reads the new snapshot."""

    async def all_differ() -> bool:
        looks = [(await vitals(rig)).self_tests for _ in range(6)]
        return all(look != before.self_tests for look in looks)

    await wait_until(all_differ, "the workers read the new snapshot")


async def test_calls_find_their_way_and_reach_no_telephone_and_no_journal(rig: RegistrarBox) -> None:
    async with rig.phone("202", 2) as ua:
        assert (await ua.register(600)).code == 200
        found = (await vitals(rig)).self_tests
        assert found["201>202"] == 200
        assert len(found) == 5
        assert not [one for _, one in ua.received if one.is_request and one.method == "INVITE"]
    with closing(sqlite3.connect(rig.box.layout.journal)) as journal:
        assert journal.execute("SELECT count(*) FROM event WHERE event = 'start'").fetchone() == (0,)


async def test_a_stranger_who_dials_the_reserved_number_is_no_self_test(rig: RegistrarBox) -> None:
    async with rig.phone("201", 1) as ua:
        answer = await ua.request(
            "INVITE",
            f"sip:kyusai-self-test@{rig.addresses.box_lan}",
            headers=[("X-Kyusai-Self-Test", "201;202")],
            timeout_s=2,
        )
        assert answer.code == 404, "the telephone proved who it is and dialled an unknown number"


async def test_a_snapshot_that_breaks_the_script_is_an_error_at_once(rig: RegistrarBox) -> None:
    before = await vitals(rig)
    assert 200 in before.self_tests.values()
    rig.publish()
    with closing(sqlite3.connect(rig.box.layout.current_route_snapshot)) as snapshot:
        snapshot.execute("DROP TABLE extension")
        snapshot.commit()
    await changed(rig, before)
    said, reasons = await verdict(rig, before)
    assert said is Verdict.UNHEALTHY
    assert "instead of" in str(reasons[0])


async def test_a_valid_document_by_which_nobody_can_call_is_condemned_and_one_barred_telephone_is_not(
    rig: RegistrarBox,
) -> None:
    def barred(numbers: list[str]) -> list[dict[str, Any]]:
        return [
            extension(number, password_of(number)) | {"do_not_disturb": number in numbers}
            for number in rig.numbers
        ]

    rig.publish(call_control="local", extensions=barred([]))
    await wait_until(lambda: _well(rig), "calls find their way")
    before = await vitals(rig)
    rig.publish(extensions=barred(rig.numbers[1:2]))
    await changed(rig, before)
    assert (await verdict(rig, before))[0] is not Verdict.UNHEALTHY
    rig.publish(extensions=barred(rig.numbers))
    await wait_until(lambda: _all_barred(rig), "every worker bars all telephones")
    said, reasons = await verdict(rig, before)
    assert said is Verdict.UNHEALTHY
    assert "201>202" in str(reasons[0])


async def _well(rig: RegistrarBox) -> bool:
    return all([set((await vitals(rig)).self_tests.values()) == {200} for _ in range(6)])


async def _all_barred(rig: RegistrarBox) -> bool:
    looks = [(await vitals(rig)).self_tests for _ in range(6)]
    return all(look[name] != 200 for look in looks for name in look if ">" in name)
