"""Nothing that a person wrote becomes markup, an instruction or a command."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import KyusaiError
from appliance.freeswitch.quoting import command, shown, word
from appliance.freeswitch.xml import Global, Include, document, element, escaped, text

HOSTILE = (
    '"><X-PRE-PROCESS cmd="exec" data="reboot"/>',
    "$${sound_prefix}",
    "a<!--#exec rm -->b",
    "x-Pre-Process",
    "line\nfeed\r\ttab",
    "${system(reboot)}",
    "&lt;&#36;",
    "佐藤 & 鈴木 <'\">",
)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_comes_out_of_the_parser_as_it_went_in(value: str) -> None:
    written = text(element("a", b=value))
    assert ET.fromstring(written).get("b") == value  # noqa: S314 - made by ourselves


@pytest.mark.parametrize("value", HOSTILE)
def test_the_preprocessor_finds_nothing_in_a_hostile_value(value: str) -> None:
    written = escaped(value)
    assert "$${" not in written
    assert "x-pre-process" not in written.lower()
    assert not set("<>\n\r\"'") & set(written)


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"))
)
def test_any_printable_value_survives_and_stays_on_its_line(value: str) -> None:
    written = text(element("a", b=value))
    assert ET.fromstring(written).get("b") == value  # noqa: S314 - made by ourselves
    assert written.count("\n") == 1


@pytest.mark.parametrize("value", ["\x00", "\x1b[31m", "\ud800", "\uffff"])
def test_a_character_that_xml_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="XML cannot hold"):
        text(element("a", b=value))


def test_names_and_paths_that_could_end_their_place_are_refused() -> None:
    for node in (
        element("a b"),
        element("a", **{"b c": 1}),
        Include('/x"/>'),
        Global("a", "$${b}"),
        Global("a=b", "c"),
    ):
        with pytest.raises(ValueError):
            text(node)


def test_document_puts_everything_into_the_outermost_element() -> None:
    assert document((element("section", Include("/a/*.xml"), name="dialplan"),)) == (
        '<document type="freeswitch/xml">\n'
        '<section name="dialplan">\n  <X-PRE-PROCESS cmd="include" data="/a/*.xml"/>\n</section>\n'
        "</document>\n"
    )


@pytest.mark.parametrize(
    "value", ["", "a b", "a\nb", "a|b", "${x}", "a,b", "'", "a;b", "é", "x" * 257, "%0A", "a!b"]
)
def test_an_argument_that_could_be_more_than_one_is_refused(value: str) -> None:
    with pytest.raises(KyusaiError) as caught:
        word(value)
    assert caught.value.key == "freeswitch.argument"
    with pytest.raises(KyusaiError):
        command("uuid_kill", value)


def test_ordinary_arguments_are_left_as_they_are() -> None:
    assert command("uuid_transfer", "0e2f-11", "*97", "XML", "box") == "uuid_transfer 0e2f-11 *97 XML box"


@given(st.text())
def test_text_for_people_never_holds_what_freeswitch_would_read(value: str) -> None:
    said = shown(value)
    assert not set("${}[]<>'\"\\%&|^,;!`=\n\r\t\x00") & set(said)
    assert len(said) <= 128


def test_text_for_people_still_reads_like_what_was_written() -> None:
    assert shown("佐藤, ${x} 50%\n") == "佐藤， ＄（x） 50％"
