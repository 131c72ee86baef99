"""What an INVITE says of its call. A failure refuses calls, or shows a wrong caller."""

import pytest

from appliance.kamailio.facts import call_facts
from appliance.kamailio.request import Origin


@pytest.mark.parametrize(
    ("origin", "caller"),
    [(Origin.PHONE, "201"), (Origin.UPSTREAM, "0312345678"), (Origin.MEDIA, "0312345678")],
)
def test_who_calls_is_a_telephone_s_own_number_and_else_what_a_trusted_side_says(
    origin: Origin, caller: str
) -> None:
    said = {"$rU": "202", "$fU": "anonymous"}
    identity = {"P-Asserted-Identity": ["<sip:0312345678@192.0.2.1>"]}
    facts = call_facts(origin, "201", lambda name: said.get(name, ""), lambda name: identity.get(name, []))
    assert (facts.caller, facts.dialled, facts.origin_id) == (caller, "202", "201")
