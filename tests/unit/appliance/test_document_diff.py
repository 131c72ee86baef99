"""What an administrator reads of two versions before he decides. A failure hides a change, or shows a secret."""

from appliance.document_diff import Change, Difference, differences
from appliance.document_diff_view import as_json, lines
from tests.helpers.site_documents import document, extension

BEFORE = document(version=12, extensions=[extension("201"), extension("202")])


def test_same_documents_of_two_versions_do_not_differ() -> None:
    assert differences(BEFORE, BEFORE | {"version": 13}) == []


def test_a_telephone_put_in_front_is_one_addition_and_a_changed_name_one_change() -> None:
    renamed = extension("202") | {"display": "鈴木"}
    after = BEFORE | {"extensions": [extension("200"), extension("201"), renamed]}
    added, changed = differences(BEFORE, after)
    assert (added.path, added.change, added.before) == ("extensions[200]", Change.ADDED, "")
    shown = f'"{extension("202").get("display", "")}"' if "display" in extension("202") else ""
    expected = Change.CHANGED if shown else Change.ADDED
    assert changed == Difference("extensions[202].display", expected, shown, '"鈴木"')


def test_secrets_are_told_to_differ_and_never_shown() -> None:
    secret = extension("202") | {"ha1_md5": "f" * 32, "ha1_sha256": "e" * 64}
    new = extension("203") | {"ha1_md5": "d" * 32}
    found = differences(BEFORE, BEFORE | {"extensions": [extension("201"), secret, new]})
    assert [one.path for one in found if "ha1_md5" in one.path] == ["extensions[202].ha1_md5"]
    text = "\n".join(lines(found, 12, 13, "en")) + repr(as_json(found, 12, 13))
    for value in ("f" * 8, "e" * 8, "d" * 8, str(extension("202").get("ha1_md5"))[:8]):
        assert value not in text


def test_lists_of_values_are_compared_as_a_whole_and_removed_parts_named() -> None:
    found = differences(
        {"version": 1, "lan_networks": ["192.0.2.0/24"], "link": {"life_ms": 600}},
        {"version": 2, "lan_networks": ["192.0.2.0/25", "198.51.100.0/24"]},
    )
    assert found == [
        Difference("lan_networks", Change.CHANGED, '["192.0.2.0/24"]', '["192.0.2.0/25", "198.51.100.0/24"]'),
        Difference("link", Change.REMOVED, '{"life_ms": 600}', ""),
    ]


def test_lines_are_said_in_both_languages() -> None:
    found = differences({"version": 1, "a": 1}, {"version": 2, "a": 2})
    assert list(lines(found, 1, 2, "en")) == ["Version 1 → version 2: 1 entries differ", "~ a: 1 → 2"]
    assert next(iter(lines(found, 1, 2, "ja"))).startswith("版 1 → 版 2")
    assert list(lines([], 1, 2, "en")) == ["Version 1 and version 2 say the same"]
