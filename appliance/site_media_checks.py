"""What the site document's applications, flows, schedules and prompts must say together. Pure."""

from appliance.freeswitch import flow_check
from appliance.freeswitch.applications import Application, Kind, MediaPlan
from appliance.freeswitch.flow_faults import Known
from appliance.freeswitch.prompt_texts import catalogue, languages
from appliance.freeswitch.schedule import public_names
from appliance.problems import Problems, shown

BY_HAND = frozenset({Kind.SCHEDULE_OPEN, Kind.SCHEDULE_CLOSED, Kind.SCHEDULE_AUTOMATIC})


def check(plan: MediaPlan, extensions: frozenset[str], problems: Problems) -> None:
    """Note every fault. extensions: numbers of the site's telephones."""
    for name, ids in (
        ("flows", [flow.id for flow in plan.flows]),
        ("queues", [queue.id for queue in plan.queues]),
        ("schedules", [schedule.id for schedule in plan.schedules]),
        ("prompts", [prompt.id for prompt in plan.prompts]),
    ):
        _ids(name, ids, problems)
    spoken = languages(catalogue(plan.prompts))
    known = Known(
        prompts=dict(spoken),
        schedules={one.id: public_names(one.public_holidays) for one in plan.schedules},
        mailboxes=frozenset(box.number for box in plan.mailboxes),
        queues=frozenset(queue.id for queue in plan.queues),
        directories=frozenset(one.number for one in plan.applications if one.kind is Kind.DIRECTORY)
        | {code.code for code in plan.features if code.id == Kind.DIRECTORY},
    )
    for index, flow in enumerate(plan.flows):
        for fault in flow_check.check(flow, known):
            problems.add(f"$.flows[{index}].{fault.where}", fault.key, **fault.values)
    for index, application in enumerate(plan.applications):
        _application(f"$.applications[{index}]", application, plan, known, problems)
    _mailboxes(plan, extensions, problems)
    if plan.music and plan.music not in known.prompts:
        problems.add("$.music_on_hold", "flow.prompt_missing", node="music_on_hold", value=shown(plan.music))
    _announcement(plan, known, problems)
    for index, queue in enumerate(plan.queues):
        for place, agent in enumerate(queue.agents):
            if agent and agent not in extensions:
                path = f"$.queues[{index}].agents[{place}]"
                problems.add(path, "site.member_unknown", value=shown(agent))
    used = {application.flow for application in plan.applications}
    for index, flow in enumerate(plan.flows):
        if flow.id and flow.id not in used:
            problems.warn(f"$.flows[{index}]", "media.flow_unused", value=shown(flow.id))


def _announcement(plan: MediaPlan, known: Known, problems: Problems) -> None:
    """The sentence that tells of recording is there, in the language that the box speaks to callers."""
    path, said, language = "$.recording.announce_prompt", plan.announcement, plan.feature_language
    if said and said not in known.prompts:
        problems.add(path, "flow.prompt_missing", node="recording", value=shown(said))
    elif said and language not in known.prompts[said]:
        values = {"node": "recording", "value": shown(said), "language": language}
        problems.add(path, "flow.prompt_language", **values)


def _mailboxes(plan: MediaPlan, extensions: frozenset[str], problems: Problems) -> None:
    seen: dict[str, str] = {}
    for index, box in enumerate(plan.mailboxes):
        path = f"$.mailboxes[{index}]"
        if box.number and box.number not in extensions:
            problems.add(f"{path}.number", "site.member_unknown", value=shown(box.number))
        if box.number in seen:
            problems.add(f"{path}.number", "media.id_taken", value=shown(box.number), other=seen[box.number])
        seen.setdefault(box.number, path)
        if not box.code_md5:
            problems.add(f"{path}.code_md5", "media.no_code", value=shown(box.number))


def _ids(name: str, ids: list[str], problems: Problems) -> None:
    taken: dict[str, str] = {}
    for index, one in enumerate(ids):
        path = f"$.{name}[{index}].id"
        if one and one in taken:
            problems.add(path, "media.id_taken", value=shown(one), other=taken[one])
        taken.setdefault(one, path.removesuffix(".id"))


def _application(path: str, one: Application, plan: MediaPlan, known: Known, problems: Problems) -> None:
    if one.kind is Kind.FLOW and not one.flow:
        problems.add(f"{path}.flow", "media.flow_missing")
    elif one.kind is Kind.FLOW and plan.flow(one.flow) is None:
        names = ", ".join(flow.id for flow in plan.flows[:20]) or "none"
        problems.add(f"{path}.flow", "media.flow_unknown", value=shown(one.flow), known=names)
    if one.kind in BY_HAND and one.schedule not in known.schedules:
        names = ", ".join(sorted(known.schedules)) or "none"
        problems.add(f"{path}.schedule", "flow.schedule_unknown", value=shown(one.schedule), known=names)
    if one.kind is Kind.ANNOUNCEMENT and not one.prompts:
        problems.add(f"{path}.prompts", "media.no_prompt")
    for index, prompt in enumerate(one.prompts):
        spoken = known.prompts.get(prompt)
        where = f"{path}.prompts[{index}]"
        if prompt and spoken is None:
            problems.add(where, "flow.prompt_missing", node=one.number, value=shown(prompt))
        elif spoken is not None and one.language not in spoken:
            values = {"node": one.number, "value": shown(prompt), "language": one.language}
            problems.add(where, "flow.prompt_language", **values)
