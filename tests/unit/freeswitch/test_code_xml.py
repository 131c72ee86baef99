"""Access codes: whoever does not know one comes to nothing behind it, whatever he dials."""

import re

from appliance.freeswitch import code_xml
from appliance.freeswitch.code_xml import COUNTED_S, LOCKED_S, WRONG_MAX, Guarded
from appliance.freeswitch.xml import action, text

PROMPTS = {(name, "en"): f"/p/{name}.wav" for name in ("code_locked", "wrong_code", "enter_code")}
ONE = Guarded("702", (("40718", (action("conference", "room-702"),)), ("1234", ())), "en", "702")


def test_the_only_ways_to_what_is_guarded_are_its_own_codes() -> None:
    made = text(code_xml.context((ONE,), PROMPTS))
    right = (
        r'expression="([^"]*)">\s*<action application="set_global" data="ky_code_tries_702="/>'
        r'\s*<action application="unset" [^>]*>\s*<action application="transfer" data="(open-702/[12]) '
    )
    ways = re.findall(right, made)
    assert ways == [("^40718$", "open-702/1"), ("^1234$", "open-702/2")] * code_xml.TRIES
    assert len(re.findall(r'data="open-702', made)) == len(ways)
    assert "^(40718|1234)$" in made
    assert made.count("conference") == 1


def test_a_day_has_room_for_fewer_than_900_guesses() -> None:
    assert 86_400 / LOCKED_S * WRONG_MAX < 900
    assert COUNTED_S < LOCKED_S
