"""A CDR that leaves out what is empty says the same. If it did not, bills and searches would differ by the box's version."""

import json

from cloudsync.wire import CDR_EMPTY, CDR_FIELDS, canonical_json, cdr_with_empty, cdr_without_empty

PLAIN = {name: CDR_EMPTY.get(name, f"told of {name}") for name in CDR_FIELDS}
FULL = {name: f"told of {name}" for name in CDR_FIELDS} | {"clock_ok": False, "offline": False, "ring_ms": 0}


def test_call_without_anything_special_leaves_out_every_empty_field() -> None:
    assert set(cdr_without_empty(PLAIN)) == set(CDR_FIELDS) - set(CDR_EMPTY)
    assert set(CDR_EMPTY) < set(CDR_FIELDS)


def test_what_is_told_is_kept_though_it_be_false_or_nought() -> None:
    assert cdr_without_empty(FULL) == FULL


def test_reader_finds_every_field_in_the_documented_order() -> None:
    for cdr in (PLAIN, FULL):
        read = cdr_with_empty(json.loads(canonical_json(cdr_without_empty(cdr))))
        assert (read, tuple(read)) == (cdr, CDR_FIELDS)


def test_record_of_an_older_or_newer_box_keeps_what_it_says() -> None:
    assert cdr_with_empty(PLAIN) == PLAIN
    assert cdr_with_empty(cdr_without_empty(PLAIN) | {"later": 1}) == PLAIN | {"later": 1}
    assert cdr_with_empty({"caller": "201"}) == {"caller": "201", **CDR_EMPTY}


def test_two_readers_do_not_share_an_empty_list() -> None:
    cdr_with_empty({})["recordings"].append("rec-1")
    assert cdr_with_empty({})["recordings"] == []
