"""`bin/bench upload`: recordings over a lossy line, beside rsync on the same files and with a call on the same line.

A line of 20 Mbit/s, 25 ms each way, 1 % loss each way and a queue of 256 kB, between two network namespaces (`two_places`);
TCP is the kernel's on both sides. Here the agent's uploader, there `kyusai centre serve`, TLS in between. In each round
the uploader and rsync carry the same files, in turned order, with the same congestion control, while a call goes both ways.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.bench.figures import cell, spread, table
from tests.bench.link_shape import Shape
from tests.bench.two_places import BOX, CENTRE, ROOT, NoNamespaces, Place, Places, two_places

SHAPE = Shape()
FILE_BYTES = 1_040_000
"""Ten minutes of a recorded call."""
FILES, ROUNDS = 100, 3
QUICK_FILES, QUICK_ROUNDS = 30, 1
CENTRE_PORT, RSYNC_PORT = 8443, 8730
CALL_LEAD_S = 1.0
QUIET_S = 10.0
START_S = 60.0
OURS, RSYNC = "ours", "rsync"
OF_LINK, RATIO, CALL_LOSS, CALL_JITTER_MS = 0.88, 0.97, 0.01, 20.0
"""What must hold. The line's own 1 % is not the upload's doing: the call's loss is what the queue dropped."""


def run(*, quick: bool) -> dict[str, Any]:
    """All rounds with BBR, and (not `quick`) with CUBIC, which is Linux' usual default."""
    with suppress(OSError):  # both sides alike: what else runs on the machine is not what is measured
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        found = {"bbr": _congestion("bbr", QUICK_ROUNDS if quick else ROUNDS, quick)}
        if not quick:
            found["cubic"] = _congestion("cubic", 1, True)
    except NoNamespaces as error:
        return {"skipped": str(error)}
    return {
        "line": _line(),
        **_summary(found["bbr"]),
        "cubic": _summary(found["cubic"]) if not quick else None,
    }


def _line() -> dict[str, float]:
    return {
        "mbit_s": SHAPE.rate_bit_s / 1e6,
        "round_trip_ms": SHAPE.delay_s * 2000,
        "loss": SHAPE.loss,
        "queue_bytes": SHAPE.queue_bytes,
    }


def _summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    link = SHAPE.rate_bit_s / 1e6
    rates = {who: [one[who]["mbit_s"] for one in rounds] for who in (OURS, RSYNC)}
    calls = {who: [one[who]["call"] for one in rounds] for who in (OURS, RSYNC)}
    ratio = spread([ours / other for ours, other in zip(rates[OURS], rates[RSYNC], strict=True)])
    of_link = {who: round(spread(rates[who])["median"] / link, 3) for who in rates}
    caused = max(one["lost_in_queue"] for one in calls[OURS])
    jitter_ms = max(one["jitter_ms"]["max"] for one in calls[OURS])
    return {
        **{
            who: {
                "mbit_s": spread(rates[who], 2)["median"],
                "of_link": of_link[who],
                "spread": spread(rates[who], 2),
            }
            for who in rates
        },
        "ratio": ratio,
        "call": {
            "loss": caused,
            "loss_with_the_lines_own": max(one["loss"] for one in calls[OURS]),
            "jitter_ms": jitter_ms,
            "beside_rsync": {
                "loss": max(one["lost_in_queue"] for one in calls[RSYNC]),
                "jitter_ms": max(one["jitter_ms"]["max"] for one in calls[RSYNC]),
            },
            "quiet": rounds[0]["quiet"],
        },
        "held": {
            "of_link": of_link[OURS] >= OF_LINK,
            "ratio": ratio["median"] >= RATIO,
            "call_loss": caused < CALL_LOSS,
            "call_jitter": jitter_ms < CALL_JITTER_MS,
        },
        "rounds": rounds,
    }


def _congestion(name: str, rounds: int, short: bool) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kyusai-upload-")))
        places = stack.enter_context(two_places(SHAPE, 1, name))
        centre = stack.enter_context(_centre(places.centre, folder / "centre"))
        stack.enter_context(_rsync_daemon(places.centre, folder))
        box = stack.enter_context(_box(places.box, folder / "box", centre, "bbr" if name == "bbr" else ""))
        quiet = _with_call(places, lambda: time.sleep(QUIET_S))[1]
        return [
            {**_round(places, box, folder, number, QUICK_FILES if short else FILES), "quiet": quiet}
            for number in range(rounds)
        ]


def _round(
    places: Places, box: "subprocess.Popen[str]", folder: Path, number: int, count: int
) -> dict[str, Any]:
    files = folder / f"files-{number}"
    files.mkdir()
    for index in range(count):
        (files / f"{index:04d}.age").write_bytes(os.urandom(FILE_BYTES))
    size_bytes = count * FILE_BYTES

    def ours() -> dict[str, Any]:
        assert box.stdin and box.stdout
        box.stdin.write(json.dumps([str(files), 1]) + "\n")
        box.stdin.flush()
        found: dict[str, Any] = json.loads(box.stdout.readline())
        return found

    def rsync() -> dict[str, Any]:
        began_s = time.monotonic()
        target = f"rsync://{CENTRE}:{RSYNC_PORT}/up/{number}/"
        subprocess.run(places.box.command("rsync", "-a", "--inplace", f"{files}/", target), check=True)
        return {"bytes": size_bytes, "seconds": time.monotonic() - began_s}

    found: dict[str, Any] = {}
    order = [(OURS, ours), (RSYNC, rsync)]
    for who, work in order if number % 2 == 0 else reversed(order):
        figures, call = _with_call(places, work)
        mbit_s = round(figures["bytes"] * 8 / 1e6 / figures["seconds"], 3)
        found[who] = {"mbit_s": mbit_s, "call": call, **figures}
        print(f"{who}: {mbit_s} Mbit/s, call {call}", file=sys.stderr)
    shutil.rmtree(files)
    return found


def _with_call(places: Places, work: Any) -> tuple[Any, dict[str, Any]]:
    """Do the work while a call goes on; what it gave, and how the call fared (the worse of both directions)."""
    places.counts()
    ends = [
        subprocess.Popen(
            place.python("tests.bench.rtp_flow", own, other),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for place, own, other in ((places.box, BOX, CENTRE), (places.centre, CENTRE, BOX))
    ]
    time.sleep(CALL_LEAD_S)
    result = work()
    heard = []
    for end in ends:
        assert end.stdin
        end.stdin.close()
    for end in ends:
        assert end.stdout
        heard.append(json.loads(end.stdout.read()))
        end.stdout.close()
        end.wait()
    ways = places.counts()
    lost = [way["calls"]["lost_in_queue"] / max(way["calls"]["packets"], 1) for way in ways]
    return result, {
        "loss": round(max(_loss(one) for one in heard), 4),
        "lost_in_queue": round(max(lost), 4),
        "jitter_ms": {key: max(one["jitter_ms"][key] for one in heard) for key in ("mean", "max")},
        "packets": sum(one["received"] for one in heard),
        "queue_most_bytes": max(way["queue_most_bytes"] for way in ways),
    }


def _loss(heard: dict[str, Any]) -> float:
    """Of the packets between the first and the last that were heard: the ends start and stop one after the other."""
    first, last = heard["heard"]
    return 1 - heard["received"] / (last - first + 1)


@contextmanager
def _centre(place: Place, data: Path) -> Iterator[tuple[str, str]]:
    """A centre with one site; its URL and an enrolment text."""
    kyusai = [sys.executable, str(ROOT / "kyusai_cli.py")]

    def administer(*words: str) -> str:
        done = subprocess.run(
            [*kyusai, *words, "--data", str(data)], check=True, capture_output=True, text=True, cwd=ROOT
        )
        return done.stdout.strip()

    administer("centre", "site", "add", "tokyo-1", "--tenant", "acme")
    code = administer("centre", "site", "code", "tokyo-1")
    listen = f"{CENTRE}:{CENTRE_PORT}"
    words = place.command(*kyusai, "centre", "serve", "--data", str(data), "--listen", listen)
    with (data.parent / "centre.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=ROOT)
    try:
        deadline_s = time.monotonic() + START_S
        while b"running" not in (data.parent / "centre.log").read_bytes():
            assert process.poll() is None and time.monotonic() < deadline_s, "the centre did not start"
            time.sleep(0.2)
        yield f"https://{listen}", code
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def _rsync_daemon(place: Place, folder: Path) -> Iterator[None]:
    (folder / "rsync").mkdir()
    config = folder / "rsyncd.conf"
    config.write_text(
        f"address = {CENTRE}\nport = {RSYNC_PORT}\nuse chroot = no\nuid = 0\ngid = 0\n"
        f"[up]\npath = {folder / 'rsync'}\nread only = no\n"
    )
    process = subprocess.Popen(
        place.command("rsync", "--daemon", "--no-detach", f"--config={config}"), cwd=folder
    )
    time.sleep(0.5)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def _box(
    place: Place, folder: Path, centre: tuple[str, str], congestion: str
) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        place.python("tests.bench.upload_box", str(folder), *centre, congestion),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin and process.stdout
    try:
        assert json.loads(process.stdout.readline()) == {"enrolled": True}
        yield process
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(20)


def report(figures: dict[str, Any]) -> str:
    """For people."""
    if "skipped" in figures:
        return f"Not measured: {figures['skipped']}"
    parts = [_report("BBR on both", figures)]
    if figures["cubic"]:
        parts.append(_report("CUBIC on both (where the kernel has no BBR)", figures["cubic"]))
    return "\n\n".join(parts)


def _report(title: str, figures: dict[str, Any]) -> str:
    call = figures["call"]
    rows = [
        [who, cell(figures[who]["spread"]), figures[who]["of_link"], loss, jitter_ms]
        for who, loss, jitter_ms in (
            (OURS, call["loss"], call["jitter_ms"]),
            (RSYNC, call["beside_rsync"]["loss"], call["beside_rsync"]["jitter_ms"]),
        )
    ]
    head = ("", "Mbit/s", "of the line", "call: lost in the queue", "call: jitter, most (ms)")
    held = ", ".join(f"{name} {'yes' if good else 'NO'}" for name, good in figures["held"].items())
    quiet = call["quiet"]
    return "\n".join(
        [
            title,
            table(head, rows),
            f"ours / rsync, paired: {cell(figures['ratio'], 3)}",
            f"the call alone: loss {quiet['loss']} (the line's own), jitter {quiet['jitter_ms']['max']} ms;"
            f" beside ours {call['loss_with_the_lines_own']} with the line's own",
            f"held: {held}",
        ]
    )
