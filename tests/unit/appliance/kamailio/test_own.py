"""Settings made at telephones, laid over the site document: whoever spoke last is right."""

from dataclasses import replace

import pytest

from appliance.kamailio.own import changed, laid_over
from appliance.kamailio.view import Extension

DOCUMENT = Extension("201", "Sato", forward_busy="202")


def test_a_setting_holds_over_the_document() -> None:
    text = changed(DOCUMENT, changed(DOCUMENT, "", "do_not_disturb", True), "forward_busy", "")
    assert laid_over(DOCUMENT, text) == replace(DOCUMENT, do_not_disturb=True, forward_busy="")


def test_a_setting_that_says_what_the_document_says_is_none() -> None:
    text = changed(DOCUMENT, "", "forward_busy", "203")
    assert changed(DOCUMENT, text, "forward_busy", "202") == ""


def test_a_document_that_says_something_new_of_a_field_is_right_about_it_alone() -> None:
    text = changed(DOCUMENT, changed(DOCUMENT, "", "do_not_disturb", True), "forward_busy", "203")
    newer = replace(DOCUMENT, forward_busy="204")
    assert laid_over(newer, text) == replace(newer, do_not_disturb=True)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"allow":[["international"],[]]}', '{"do_not_disturb":1}', '{"do_not_disturb":["1",false]}'],
)
def test_what_cannot_be_a_setting_is_passed_over(text: str) -> None:
    assert laid_over(DOCUMENT, text) == DOCUMENT
