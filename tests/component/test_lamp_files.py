"""The files of lamps: subscriptions that come back, also from a damaged file, and FreeSWITCH's list of messages."""

import sqlite3
from contextlib import closing
from pathlib import Path

from appliance.kamailio.lamp_store import LampStore
from appliance.kamailio.message_summary import Messages
from appliance.kamailio.subscriptions import Subscription
from appliance.kamailio.voicemail_counts import FILE, VoicemailCounts

NOW_S = 1_000


def subscription(number: str, expires_s: int = NOW_S + 600) -> Subscription:
    return Subscription(
        call_id=f"call-{number}",
        remote_tag="r",
        local_tag="l",
        user="206",
        event="dialog",
        number=number,
        target="sip:206@192.0.2.109",
        hop="sip:192.0.2.109:5060;transport=udp",
        sock="udp:192.0.2.10:5060",
        contact="sip:202@192.0.2.10:5060",
        remote="sip:206@tokyo.example",
        local="sip:202@tokyo.example",
        expires_s=expires_s,
    )


def test_subscriptions_come_back_without_those_whose_time_is_over(tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "lamps.sqlite"
    kept = {one.key: one for one in (subscription("201"), subscription("202"), subscription("203", NOW_S))}
    store = LampStore(path, said.append)
    assert store.write(kept, kept, NOW_S)
    gone = subscription("202").key
    del kept[gone]
    assert store.write(kept, [gone], NOW_S)
    assert LampStore(path, said.append).load(NOW_S) == [subscription("201")]
    assert said == []
    assert path.stat().st_mode & 0o777 == 0o600


def test_damaged_file_is_begun_anew_and_told_of(tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "lamps.sqlite"
    path.write_bytes(b"no database, " * 1000)
    store = LampStore(path, said.append)
    assert store.load(NOW_S) == []
    assert len(said) == 1
    one = subscription("201")
    assert store.write({one.key: one}, [one.key], NOW_S)
    assert LampStore(path, said.append).load(NOW_S) == [one]


def test_file_that_cannot_be_written_is_tried_again_after_a_while(tmp_path: Path) -> None:
    said: list[str] = []
    store = LampStore(tmp_path / "missing" / "lamps.sqlite", said.append)
    one = subscription("201")
    assert not store.write({one.key: one}, [one.key], NOW_S)
    (tmp_path / "missing").mkdir()
    assert not store.write({one.key: one}, [one.key], NOW_S + 29)
    assert store.write({one.key: one}, [one.key], NOW_S + 30)
    assert len(said) == 1


def messages(path: Path, *rows: tuple[str, int, str]) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS voicemail_msgs (username TEXT, read_epoch INTEGER, read_flags TEXT)"
        )
        database.execute("DELETE FROM voicemail_msgs")
        database.executemany("INSERT INTO voicemail_msgs VALUES (?, ?, ?)", rows)
        database.commit()


def test_messages_are_counted_as_freeswitch_lists_them(tmp_path: Path) -> None:
    counts = VoicemailCounts(str(tmp_path))
    assert counts.look() == {}
    path = tmp_path / FILE
    messages(
        path, ("202", 0, "B_NORMAL"), ("202", 0, "A_URGENT"), ("202", 7, "B_NORMAL"), ("203", 7, "A_URGENT")
    )
    assert counts.look() == {"202": Messages(2, 1, 1, 0), "203": Messages(0, 1, 0, 1)}
    messages(path, ("203", 7, "B_NORMAL"), *[("202", 1, "B_NORMAL")] * 9)
    assert counts.look() == {"202": Messages(0, 9), "203": Messages(0, 1)}
    path.unlink()
    assert counts.look() == {}
    assert VoicemailCounts("").look() == {}


def test_list_that_cannot_be_read_now_leaves_the_counts_as_they_were(tmp_path: Path) -> None:
    counts, path = VoicemailCounts(str(tmp_path)), tmp_path / FILE
    messages(path, ("202", 0, "B_NORMAL"))
    assert counts.look() == {"202": Messages(1)}
    whole = path.read_bytes()
    path.write_bytes(b"torn" * 4096)
    assert counts.look() == {"202": Messages(1)}
    path.write_bytes(whole)
    assert counts.look() == {"202": Messages(1)}
