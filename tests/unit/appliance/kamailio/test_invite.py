"""What every new INVITE is asked in one question, and what becomes of an answer that does not tell it."""

import pytest

from appliance.kamailio import invite
from appliance.kamailio.ksr_call import KsrCall
from tests.helpers.ksr_double import KsrDouble

SAID = {
    "$si": "192.0.2.101",
    "$sp": "5060",
    "$proto": "udp",
    "$rU": "202",
    "$fd": "tokyo-1.example",
    "$ci": "a call",
    "$ft": "tag",
    "$hdr(Privacy)": "",
    "$hdrc(Diversion)": "0",
    "$hdr(Replaces)": "",
    "$hdr(Proxy-Authorization)": 'Digest username="201"',
}


def answer(**changed: str) -> str:
    """As Kamailio writes it."""
    said = SAID | {f"${name}": value for name, value in changed.items()}
    return "\n".join(said[name] or invite.NOTHING for name in invite.NAMES)


def test_answer_is_read_by_name_and_what_is_not_set_is_empty() -> None:
    assert invite.read(answer()) == SAID


@pytest.mark.parametrize("text", ["", answer(ci="a\r\n call"), answer(rU="202\n203"), answer() + "\n"])
def test_answer_that_does_not_have_a_line_for_each_value_tells_nothing(text: str) -> None:
    assert invite.read(text) == {}


def test_sender_cannot_pass_for_another_address_by_a_line_end_in_what_he_writes() -> None:
    """The source is the first of the lines, and any line too many makes all of them be asked for anew."""
    hostile = answer(rU="202\n192.0.2.1")

    double = KsrDouble(pvs={invite.QUESTION: hostile, **SAID})
    call = KsrCall(double)
    call.enter()
    call.hear()

    assert (call.pv("$si"), call.pv("$rU"), call.pv("$ci")) == ("192.0.2.101", "202", "a call")


def test_what_was_heard_is_not_asked_for_again_in_this_stage_and_anew_in_the_next() -> None:
    double = KsrDouble(pvs={invite.QUESTION: answer(), **dict.fromkeys(SAID, "of a later message")})
    call = KsrCall(double)
    outer = call.enter()
    call.hear()

    assert {name: call.pv(name) for name in invite.NAMES} == SAID
    assert (call.header("Replaces"), call.headers("Diversion")) == ("", [])

    call.leave(outer)
    assert call.pv("$ci") == "of a later message"


def test_question_names_all_values_in_the_order_in_which_the_answer_is_read() -> None:
    assert invite.QUESTION == "$_s($si\n$sp\n$proto\n$rU\n$fd\n$ci\n$ft\n" + (
        "$hdr(Privacy)\n$hdrc(Diversion)\n$hdr(Replaces)\n$hdr(Proxy-Authorization))"
    )
