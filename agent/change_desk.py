"""Where changes made at the box come in: `POST /change` on the agent's socket, its rules and its answer.

One request is one change of any number of fields, or a withdrawal. It is answered when its fate is known: the box has
then been watched with it. While the centre can be reached, changes are made there, unless the person insists.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from agent.config import Changed, ConfigKeeper
from agent.local_http import Reply
from appliance.errors import KyusaiError
from appliance.local_change import BY_CHARACTERS_MAX, OPEN_MAX, WHY_CHARACTERS_MAX
from appliance.overlay import Author
from appliance.problems import DocumentError
from cloudsync.wire import SILENT_AFTER_S, format_utc, parse_json, reasons_json

APPLIED, TAKEN_BACK = "applied", "taken_back"
"""What becomes of a change that was not refused."""


class ChangeDesk:
    """Serves changes. now_s: monotonic seconds, of the same clock as the keeper's."""

    def __init__(self, keeper: ConfigKeeper, now_s: Callable[[], float]) -> None:
        self._keeper = keeper
        self._now_s = now_s

    async def serve(self, body: bytes) -> Reply:
        """Answer one request."""
        try:
            asked = _asked(body)
            author = _author(asked)
            if not asked.get("anyway"):
                self._require_alone()
            changed = await self._do(asked, author)
        except KyusaiError as error:
            return "409 Conflict", "application/json", _encoded(_fault(error))
        except OSError as error:
            fault = KyusaiError("change.failed", f"the change could not be kept: {error}", detail=str(error))
            return "507 Insufficient Storage", "application/json", _encoded(_fault(fault))
        outcome = TAKEN_BACK if changed.reasons else APPLIED
        reasons, details = reasons_json(changed.reasons)
        told = {
            "outcome": outcome,
            "reasons": reasons,
            "details": details,
            "changes": [one.as_json() for one in changed.changes],
        }
        return "200 OK", "application/json", _encoded(told)

    def _require_alone(self) -> None:
        heard_s = self._keeper.centre_seen_s
        if heard_s is not None and self._now_s() - heard_s < SILENT_AFTER_S:
            age_s = round(self._now_s() - heard_s)
            raise KyusaiError(
                "change.centre_near",
                f"the centre was heard {age_s} s ago: make the change there",
                "If it cannot wait: the same command with --anyway.",
                age=age_s,
            )

    async def _do(self, asked: dict[str, Any], author: Author) -> Changed:
        if "withdraw" in asked:
            return await self._keeper.withdraw(_texts(asked["withdraw"]), author)
        wanted = asked.get("set")
        if not isinstance(wanted, dict) or not 0 < len(wanted) <= OPEN_MAX:
            raise _bad_request()
        return await self._keeper.change([(str(path), value) for path, value in wanted.items()], author)


def _asked(body: bytes) -> dict[str, Any]:
    try:
        asked = parse_json(body)
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise _bad_request()
    return asked


def _author(asked: dict[str, Any]) -> Author:
    by, why = (" ".join(str(asked.get(name) or "").split()) for name in ("by", "why"))
    if not by or len(by) > BY_CHARACTERS_MAX or not why or len(why) > WHY_CHARACTERS_MAX:
        raise KyusaiError(
            "change.who_and_why",
            f"a change needs a name (1 to {BY_CHARACTERS_MAX} characters) and a reason (1 to {WHY_CHARACTERS_MAX})",
            'For example: --by "Sato" --why "line cut, desk empty"',
            by_most=BY_CHARACTERS_MAX,
            why_most=WHY_CHARACTERS_MAX,
        )
    return Author(by, why, format_utc(datetime.now(UTC)))


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _bad_request()
    return value


def _bad_request() -> KyusaiError:
    return KyusaiError(
        "change.bad_request", 'the request is no change: {"set": {PATH: VALUE}} or {"withdraw": [ID]}'
    )


def _fault(error: KyusaiError) -> dict[str, Any]:
    problems = error.problems if isinstance(error, DocumentError) else ()
    return {
        **_plain(error),
        "problems": [{"path": one.path, **_plain(one)} for one in problems],
    }


def _plain(fault: Any) -> dict[str, Any]:
    values = {name: one if isinstance(one, int | str) else str(one) for name, one in fault.values.items()}
    return {"key": fault.key, "message": fault.message, "hint": fault.hint, "values": values}


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
