"""Writes what FreeSWITCH reads: its main file from box.toml, its dialplan from the site document. Adapter: disk only.

The texts are made by `settings_xml` and `site_xml`. The main file holds the event socket's password and is for the box's
own user alone.
"""

import json
import os
import re
import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo, ZoneInfoNotFoundError

from appliance.box import Box
from appliance.errors import KyusaiError
from appliance.freeswitch import (
    audio_files,
    prompt_texts,
    prompts_used,
    settings_xml,
    site_xml,
    stand_ins,
    xml,
)
from appliance.freeswitch.applications import MediaPlan
from appliance.freeswitch.by_hand import ByHand, context
from appliance.layout import Layout

SECRET_MODE = 0o600
PRIVATE_MODE = 0o640
PASSWORD_BYTES = 24
"""192 bits: nobody guesses it, and the event socket slows nobody down who tries."""

BY_HAND_JSON = "by-hand.json"

_SAFE_PATH = re.compile(r"/[A-Za-z0-9_./-]*", re.ASCII)


ENVIRONMENT = {"MALLOC_ARENA_MAX": "1"}
"""One heap for all threads. `reloadxml` builds the new tree in one thread and frees the old one in another; with a heap for each,
the C library kept both, and a large site's FreeSWITCH grew by some MiB with each new version (`bin/bench render`)."""


def command(layout: Layout) -> list[str]:
    """How FreeSWITCH is started in the foreground. It gives itself no priority: its unit does."""
    folder = layout.freeswitch_dir
    return [
        *("freeswitch", "-nf", "-nc", "-nonat", "-np"),
        *("-conf", str(folder)),
        *("-log", str(layout.freeswitch_log_dir)),
        *("-db", str(layout.freeswitch_db_dir)),
        *("-run", str(layout.run_dir)),
        *("-storage", str(folder / "storage")),
        *("-temp", str(layout.run_dir)),
    ]


def write(box: Box, layout: Layout) -> tuple[Path, ...]:
    """Write the main file, and the password where there is none yet; the files written, none on a box without FreeSWITCH.

    Blocks on disk. Raises OSError, `KyusaiError` "freeswitch.path".
    """
    if not box.freeswitch.address:
        return ()
    for path in (layout.state_dir, layout.run_dir):
        check_path(path)
    for folder in (
        layout.freeswitch_dir,
        layout.freeswitch_db_dir,
        layout.freeswitch_log_dir,
        layout.prompts_dir,
        layout.rooms_dir,
    ):
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    audio_files.list_hold_music(layout.prompts_dir / "moh")
    told = settings_xml.Settings(
        address=box.freeswitch.address,
        sip_port=box.freeswitch.sip_port,
        kamailio_port=box.freeswitch.kamailio_port,
        esl_port=box.freeswitch.esl_port,
        clerk_port=box.freeswitch.clerk_port,
        by_hand=str(_by_hand_xml(layout)),
        rtp_min=box.freeswitch.rtp_min,
        rtp_max=box.freeswitch.rtp_max,
        password=password(layout),
        site=str(layout.current_freeswitch_dir),
        prompts=str(layout.prompts_dir),
        voicemail=str(layout.voicemail_dir),
        rooms=str(layout.rooms_dir),
    )
    if not _by_hand_xml(layout).exists():
        write_by_hand(layout, (), "UTC")
    _replace(layout.freeswitch_xml, settings_xml.main_file(told), SECRET_MODE)
    return (layout.freeswitch_xml,)


def password(layout: Layout) -> str:
    """The event socket's password; made on the first call. Blocks on disk. Raises OSError."""
    path = layout.event_socket_password
    try:
        found = path.read_text("ascii").strip()
    except FileNotFoundError:
        found = ""
    if not found:
        found = secrets.token_urlsafe(PASSWORD_BYTES)
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        _replace(path, found + "\n", SECRET_MODE)
    return found


def write_site(
    plan: MediaPlan, folder: Path, prompts_dir: Path, now: datetime | None = None
) -> tuple[str, ...]:
    """Write a version's dialplan and directory into `folder`; returns the prompts ("id/language") that have no audio yet.

    Blocks on disk. Raises OSError, `KyusaiError`.
    """
    check_path(prompts_dir)
    audio_files.list_hold_music(prompts_dir / "moh")
    used = prompts_used.of(plan)
    # Nothing stands in for the sentence that tells of recording: who heard a sign was not told.
    stand_ins.lay((one.file for one in used if one.prompt != plan.announcement), prompts_dir)
    stand_ins.link_pieces(prompts_dir)
    waiting = set(stand_ins.waiting((one.file for one in used), prompts_dir))
    audio = prompt_texts.paths(plan, prompts_dir)
    moment = now or datetime.now(UTC)
    texts = site_xml.files(plan, audio, posix_rule(plan.time_zone), moment.year, str(prompts_dir))
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    for name, text in texts.items():
        _replace(folder / name, text, PRIVATE_MODE)
    return tuple(f"{one.prompt}/{one.language}" for one in used if one.file in waiting)


def by_hand(layout: Layout) -> tuple[ByHand, ...]:
    """Schedules set by hand, as they were last written; none for a file that cannot be read. Blocks on disk."""
    try:
        rows = json.loads((layout.freeswitch_dir / BY_HAND_JSON).read_bytes())
        return tuple(ByHand(**row) for row in rows)
    except (OSError, ValueError, TypeError):
        return ()


def write_by_hand(layout: Layout, held: tuple[ByHand, ...], time_zone: str) -> None:
    """Write them durably, for FreeSWITCH and for `by_hand`. Blocks on disk. Raises OSError."""
    folder = layout.freeswitch_dir
    _replace(folder / BY_HAND_JSON, json.dumps([asdict(one) for one in held]), PRIVATE_MODE)
    _replace(_by_hand_xml(layout), xml.text(context(held, time_zone)), PRIVATE_MODE)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _by_hand_xml(layout: Layout) -> Path:
    return layout.freeswitch_dir / "by-hand.xml"


def posix_rule(time_zone: str) -> str:
    """A zone's rule as POSIX writes it ("JST-9"), from the machine's own time zone files. Raises `KyusaiError`."""
    for folder in TZPATH:
        try:
            data = (Path(folder) / time_zone).read_bytes()
        except OSError:
            continue
        rule = data.rstrip(b"\n").rpartition(b"\n")[2].decode("ascii", "replace")
        if re.fullmatch(r"[A-Za-z]{3,}[-+0-9:].*", rule):
            return rule
        break
    try:
        offset = ZoneInfo(time_zone).utcoffset(datetime.now(UTC))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise KyusaiError(
            "freeswitch.time_zone",
            f"{time_zone!r} is not a time zone that this machine knows",
            "Install the package tzdata, or correct site.time_zone.",
            value=time_zone,
        ) from error
    minutes = int(offset.total_seconds() // 60) if offset else 0
    sign, (hours, rest) = "-" if minutes >= 0 else "", divmod(abs(minutes), 60)
    return f"XXX{sign}{hours}" + (f":{rest:02d}" if rest else "")


def check_path(path: Path) -> None:
    """Raises `KyusaiError` "freeswitch.path" for a path that FreeSWITCH could not be told."""
    if not _SAFE_PATH.fullmatch(str(path)):
        raise KyusaiError(
            "freeswitch.path",
            f"{str(path)!r}: FreeSWITCH's folders may hold letters, digits and _ . / - only",
            "Choose another state_dir or run_dir.",
            value=str(path),
        )


def _replace(path: Path, text: str, mode: int) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
