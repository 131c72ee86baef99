"""The metrics: what an alarm rule would miss or misread."""

import io
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from agent.disk import DiskState
from agent.evidence import Sighting
from agent.link import Event, Link
from agent.metrics import BUILD, METRICS, PREFIX, exposition
from agent.publish import known_state
from agent.status import ConfigStatus, KamailioStatus, SpoolStatus, Status, TaskStatus, link_status, survives
from agent.status_view import span, view
from appliance.model import LinkState
from appliance.text import Lang, text
from cloudsync.wire import AtRest, reason_of, reasons_json


def link(state: LinkState = LinkState.UP) -> Link:
    found = Link("cloud", 0.0)
    for number in range(10):
        found.observe(Sighting.PROBE_ANSWERED, number * 0.2, 20.0)
    found.state = state
    return found


def status(state: LinkState = LinkState.UP) -> Status:
    one = link(state)
    one.transitions[LinkState.UP, LinkState.DOWN] = 2
    return Status(
        box="tokyo-1-a",
        site="tokyo-1",
        site_name="Tokyo",
        software="0.1.0",
        time_utc="2026-01-01T00:00:00.000Z",
        uptime_s=9.5,
        survival_mode=survives([state]),
        links=(link_status(one, known_state(one, 2.0), 2.0, 600, 0.25),),
        kamailio=KamailioStatus(alive=True, registered_contacts=17, active_calls=3),
        config=ConfigStatus(version=12, age_s=60.0, refused=1),
        spool=SpoolStatus(waiting=5, oldest_age_s=7.5, recordings_waiting=2),
        tasks={"links": TaskStatus(True, 0, ""), "config": TaskStatus(False, 4, "x")},
    )


def samples(of: Status) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    _, text = exposition(lambda: of)()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_the_metrics_tell_what_the_status_says() -> None:
    found = samples(status(LinkState.DOWN))
    cloud = ("upstream", "cloud")
    assert found["kyusai_link_state", (("state", "DOWN"), cloud)] == 1
    assert found["kyusai_link_state", (("state", "UP"), cloud)] == 0
    assert found["kyusai_link_transitions_total", (("from", "UP"), ("to", "DOWN"), cloud)] == 2
    assert found["kyusai_link_round_trip_seconds", (cloud,)] == pytest.approx(0.02)
    assert found["kyusai_link_loss_there_ratio", (cloud,)] == 0.25
    assert found["kyusai_survival_mode", ()] == 1
    assert found["kyusai_registered_endpoints", ()] == 17
    assert found["kyusai_config_version", ()] == 12
    assert found["kyusai_spool_oldest_age_seconds", ()] == 7.5
    assert found["kyusai_agent_task_restarts_total", (("task", "config"),)] == 4
    assert found["kyusai_build_info", (("box", "tokyo-1-a"), ("site", "tokyo-1"), ("version", "0.1.0"))] == 1


def test_what_is_not_known_has_no_sample() -> None:
    found = samples(replace(status(), kamailio=KamailioStatus()))
    assert ("kyusai_registered_endpoints", ()) not in found
    assert found["kyusai_kamailio_up", ()] == 0


@pytest.mark.parametrize("field", ["disk_encryption", "audio_encryption"])
def test_what_protects_the_disk_is_one_of_its_kinds_and_nothing_before_it_was_looked_at(field: str) -> None:
    name = f"kyusai_{field}"
    assert not [key for key in samples(status()) if key[0] == name]
    found = samples(replace(status(), **{field: "none"}))
    assert {dict(labels)["kind"]: value for (key, labels), value in found.items() if key == name} == {
        "none": 1,
        "unknown": 0,
        "fscrypt": 0,
        "dm_crypt": 0,
        "memory": 0,
    }


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("kind", ["", *AtRest])
def test_the_status_says_what_protects_the_disk_and_warns_of_none(kind: str, lang: Lang) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(view(replace(status(), disk_encryption=str(kind)).as_json(), lang))
    shown = console.export_text()
    assert (text("agent.status.disk_encryption", lang) in shown) == bool(kind)
    assert not kind or text(f"agent.status.encrypted_{kind}", lang) in shown
    assert (text("agent.status.disk_not_encrypted", lang)[:20] in shown) == (kind == "none")


@pytest.mark.parametrize(
    ("lang", "details", "expected"),
    [
        ("en", True, "[b]: told in English"),
        ("ja", True, "$.a[0]: [b] の型は 文字列 ですが、数 でなければなりません (数 として書いてください。)"),
        ("ja", False, "[b]: told in English"),
    ],
    ids=["English", "Japanese", "Japanese, of an older agent"],
)
def test_the_status_says_why_a_document_was_not_taken(lang: Lang, details: bool, expected: str) -> None:
    values = {"value": "[b]", "found": "string", "expected": "number"}
    problems, told = reasons_json([reason_of("[b]: told in English", "field.type", values, "$.a[0]")])
    config = asdict(ConfigStatus(refused_version=13, problems=tuple(problems), details=tuple(told)))
    if not details:
        del config["details"]
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(view(status().as_json() | {"config": config}, lang))
    assert expected in console.export_text()


def test_a_prober_that_fell_silent_shows_as_unknown() -> None:
    one = link()
    shown = link_status(one, known_state(one, 60.0), 60.0, 600, None)
    found = samples(replace(status(), links=(shown,)))
    assert found["kyusai_link_state", (("state", "UNKNOWN"), ("upstream", "cloud"))] == 1


@pytest.mark.parametrize(("spec", "_read"), METRICS, ids=[spec.name for spec, _ in METRICS])
def test_every_metric_keeps_prometheus_conventions(spec, _read) -> None:  # type: ignore[no-untyped-def]
    assert re.fullmatch(r"[a-z][a-z0-9_]*", spec.name)
    assert (spec.kind == "counter") == spec.name.endswith("_total")
    assert not re.search(r"_(ms|minutes|hours|percent|kb|mb)(_|$)", spec.name), "base units only"
    assert set(spec.labels) <= {"upstream", "state", "from", "to", "task", "kind"}, "labels must be bounded"
    assert spec.text.endswith(".")


def test_the_manual_lists_every_metric_with_its_labels_and_no_other() -> None:
    manual = (Path(__file__).resolve().parents[3] / "docs" / "metrics.md").read_text("utf-8")
    rows = re.findall(r"^\| `(kyusai_\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|", manual, re.MULTILINE)
    listed = {(name, kind, labels.strip(), text.strip()) for name, kind, labels, text in rows}
    made = {
        (PREFIX + spec.name, spec.kind, ", ".join(spec.labels), spec.text)
        for spec in (
            *(spec for spec, _ in METRICS),
            replace(BUILD, name="build_info", labels=("version", "site", "box")),
        )
    }
    assert listed == made


def test_survival_mode_needs_an_upstream_and_none_that_is_tried_first() -> None:
    assert not survives([])
    assert not survives([LinkState.DOWN, LinkState.SUSPECT])
    assert survives([LinkState.DOWN, LinkState.RECOVERING])


def test_the_status_of_a_recovering_link_says_what_is_left() -> None:
    one = Link("cloud", 0.0)
    one.state = LinkState.DOWN
    one.step(Event.CLEAR, 5.0)
    shown = link_status(one, LinkState.RECOVERING, 8.0, 600, None)
    assert (shown.hold_s, shown.hold_left_s, shown.state_age_s) == (10.0, 7.0, 3.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.4, "0 s"), (61, "1 min 1 s"), (3600, "1 h"), (90061, "1 d 1 h"), (-5, "0 s")],
)
def test_durations_are_short(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("kind", ["", *AtRest])
def test_the_status_says_where_audio_lies_and_warns_of_a_disk_in_the_clear(kind: str, lang: Lang) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(view(replace(status(), audio_encryption=str(kind)).as_json(), lang))
    shown = console.export_text()
    assert (text("agent.status.audio_encryption", lang) in shown) == bool(kind)
    assert not kind or text(f"agent.status.audio_{kind}", lang) in shown
    assert (text("agent.status.audio_in_the_clear", lang)[:20] in shown) == (kind == "none")


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("place", ["disk", "audio"])
@pytest.mark.parametrize("state", list(DiskState))
def test_the_status_says_what_fills(state: DiskState, place: str, lang: Lang) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(view(replace(status(), **{f"{place}_state": state.value}).as_json(), lang))
    shown = console.export_text()
    for where in ("disk", "audio"):
        for one in (DiskState.LOW, DiskState.FULL):
            told = text(f"agent.status.{where}_{one}", lang)[:26]
            assert (told in shown) == ((where, one) == (place, state))
