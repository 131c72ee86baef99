"""Who is shown as the caller, and whether the call is recorded."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from appliance.kamailio.actions import CallerId
from appliance.kamailio.request import CallFacts
from appliance.kamailio.routing import decide
from appliance.kamailio.view import Extension
from appliance.model import LinkState, UpstreamAuth
from tests.helpers.routing_plans import DOWN, LOCAL, MOBILE, SATO_OUTSIDE
from tests.helpers.site_view import (
    GATEWAY,
    SECOND,
    SiteView,
    extension,
    from_cloud,
    from_gateway,
    from_phone,
    group,
    site,
)


@pytest.mark.parametrize(
    ("facts", "changed", "expected"),
    [
        pytest.param(from_phone("203", "202"), (), False, id="nobody wants it"),
        pytest.param(from_phone("203", "201"), (), True, id="the caller"),
        pytest.param(from_phone("201", "202"), (), True, id="the called"),
        pytest.param(from_phone("600", "203"), (), True, id="a member of the group"),
        pytest.param(
            from_phone("203", "202"), (extension("202", record="outside"),), False, id="outside only: inside"
        ),
        pytest.param(
            from_phone(MOBILE, "202"), (extension("202", record="outside"),), True, id="outside only: out"
        ),
        pytest.param(from_gateway("202"), (extension("202", record="outside"),), True, id="outside only: in"),
        pytest.param(
            from_cloud("202"), (extension("202", record="outside"),), True, id="outside only: in by cloud"
        ),
        pytest.param(
            from_cloud("202", "7201"),
            (extension("202", record="outside"),),
            False,
            id="outside only: another site",
        ),
        pytest.param(
            from_phone("7201", "202"),
            (extension("202", record="outside"),),
            False,
            id="outside only: to another site",
        ),
        pytest.param(
            from_phone("202", "203"),
            (extension("202", record="outside", forward_busy=MOBILE),),
            True,
            id="outside only: may be forwarded out",
        ),
        pytest.param(from_phone("110", "202"), (extension("202", record="outside"),), True, id="emergency"),
        pytest.param(
            from_phone("202", "203"),
            (extension("202", do_not_disturb=True, record="all"),),
            True,
            id="cloud may ring it",
        ),
        pytest.param(
            from_phone("204", "201"), (extension("204", do_not_disturb=True),), True, id="caller records"
        ),
    ],
)
def test_call_is_recorded_when_anybody_in_it_is(
    facts: CallFacts, changed: Iterable[Extension], expected: bool
) -> None:
    assert decide(facts, site(*changed)).record is expected


def test_refused_call_is_not_recorded() -> None:
    assert decide(from_phone(MOBILE, "204"), site(extension("204", record="all"), link=DOWN)).record is False


CALLERS = [
    pytest.param(
        from_phone(MOBILE, "203"), site(upstreams=()), CallerId("0312340000", "Takahashi"), id="gateway's own"
    ),
    pytest.param(
        from_phone(MOBILE, "203"),
        site(upstreams=(), gateways=(replace(GATEWAY, caller=""),)),
        CallerId("anonymous", privacy=True),
        id="no number to show",
    ),
    pytest.param(
        from_phone(MOBILE, "203"),
        site(upstreams=(), gateways=(replace(GATEWAY, number_format="extension"),)),
        CallerId("203", "Takahashi"),
        id="a gateway that thinks in extensions",
    ),
    pytest.param(
        from_phone(MOBILE, anonymous=True),
        site(upstreams=()),
        CallerId("0312340201", "Sato", True),
        id="private",
    ),
    pytest.param(
        from_phone(f"0186{MOBILE[1:]}", anonymous=True),
        site(upstreams=()),
        SATO_OUTSIDE,
        id="186 beats private",
    ),
    pytest.param(
        from_phone("202"),
        site(upstream_auth=UpstreamAuth.PASSTHROUGH),
        None,
        id="the cloud challenges the phone",
    ),
    pytest.param(
        from_phone("202"),
        site(
            extension("202", forward_always=MOBILE),
            upstream_auth=UpstreamAuth.PASSTHROUGH,
            call_control=LOCAL,
            gateways=(),
        ),
        CallerId("202", "Suzuki"),
        id="a forwarded call shows who forwards it",
    ),
    pytest.param(
        from_phone("202", "299"),
        site(upstreams=(SECOND,), links={"second": LinkState.UP}),
        CallerId("+81312340000"),
        id="extension that is gone",
    ),
    pytest.param(
        from_gateway("600"),
        site(
            extension("201", do_not_disturb=True),
            extension("202", do_not_disturb=True),
            group("600", overflow=MOBILE),
            upstreams=(SECOND,),
            links={"second": LinkState.UP},
            call_control=LOCAL,
        ),
        CallerId("+81312340000"),
        id="a group's overflow shows the trunk's own number",
    ),
    pytest.param(
        from_gateway("202", "+442071234567"),
        site(link=DOWN),
        CallerId("+442071234567"),
        id="caller from abroad",
    ),
    pytest.param(
        from_gateway("202", "+819011112222"),
        site(link=DOWN),
        CallerId("09011112222"),
        id="caller in national form",
    ),
    pytest.param(
        from_gateway("202", anonymous=True),
        site(link=DOWN),
        CallerId("anonymous", privacy=True),
        id="caller withheld",
    ),
    pytest.param(
        from_gateway("202", ""),
        site(link=LinkState.UP),
        CallerId("anonymous"),
        id="caller unknown, to the cloud",
    ),
    pytest.param(
        from_phone("110", "203"),
        site(emergency_caller="", gateways=(replace(GATEWAY, caller=""),)),
        CallerId("203"),
        id="emergency without any number: the extension, rather than nobody",
    ),
]


@pytest.mark.parametrize(("facts", "view", "expected"), CALLERS)
def test_first_step_shows_the_caller(facts: CallFacts, view: SiteView, expected: CallerId | None) -> None:
    assert decide(facts, view).steps[0].caller == expected
