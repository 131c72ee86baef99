"""The lab's site document is one that the product takes."""

from appliance import site
from tests.lab.addresses import Addresses
from tests.lab.site_document import as_text, site_document

A = Addresses("127.80.1")
PASSWORDS = {"201": "one", "202": "two", "203": "three", "204": "four"}


def test_document_of_a_lab_is_valid() -> None:
    parsed = site.loads(as_text(site_document(A, PASSWORDS, version=3)))
    assert (parsed.version, [e.number for e in parsed.extensions]) == (3, list(PASSWORDS))


def test_changes_replace_and_remove_fields() -> None:
    document = site_document(A, PASSWORDS, groups=None, call_control="local")
    assert "groups" not in document
    assert document["call_control"] == "local"


def test_site_without_phones_has_no_group() -> None:
    assert site.loads(as_text(site_document(A, {}))).extensions == ()
