"""Reads rendered dialplan as FreeSWITCH does, as far as flows need it: hunts extensions, expands variables, runs actions.

What callers do is a script: digits for each question ("" is silence), and whether a call is answered. The rules are those of
mod_dialplan_xml and `switch_play_and_get_digits` (1.11.2); the tests in `tests/freeswitch` show the same flows on the real one.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from appliance.freeswitch import names

STEPS_MAX = 500


@dataclass
class Line:
    """One call in a dialplan. heard: audio files. did: ("bridge", address), ("hangup", cause), ("voicemail", box). stays: what
    the controller is told, (what, name, change)."""

    contexts: dict[str, ET.Element]
    script: list[str]
    moment: datetime
    fields: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    did: list[tuple[str, str]] = field(default_factory=list)
    stays: list[tuple[str, str, str]] = field(default_factory=list)
    over: bool = False
    clerk: Callable[[str], dict[str, str]] | None = None
    _groups: tuple[str, ...] = ()

    def run(self, destination: str, context: str) -> None:
        """Until the call is over or the script has no more to say."""
        for _ in range(STEPS_MAX):
            transfer = self._execute(destination, context)
            if transfer is None:
                return
            destination, context = transfer
        raise AssertionError(f"{STEPS_MAX} transfers without an end")

    def _execute(self, destination: str, context: str) -> tuple[str, str] | None:
        for application, data in self._hunt(destination, context):
            told = getattr(self, f"_{application}")(self._expanded(data))
            if told is not None or self.over:
                return told
        return None

    def _hunt(self, destination: str, context: str) -> Iterator[tuple[str, str]]:
        if context == names.BY_HAND and context not in self.contexts:  # a file of its own
            return
        for extension in self.contexts[context].iter("extension"):
            actions: list[tuple[str, str]] = []
            for condition in extension.iter("condition"):
                if not self._holds(condition, destination):
                    break
                for action in condition.iter("action"):
                    pair = (action.get("application", ""), self._caught(action.get("data", "")))
                    if action.get("inline") == "true":
                        self._set(self._expanded(pair[1]))
                    else:
                        actions.append(pair)
            else:
                yield from actions
                if extension.get("continue") != "true":
                    return

    def _holds(self, condition: ET.Element, destination: str) -> bool:
        if condition.get("regex") == "any":
            return any(self._time(one) for one in condition.iter("regex"))
        if condition.get("field") is None:
            return self._time(condition)
        name = condition.get("field", "")
        value = (
            self._expanded(name)
            if "$" in name
            else {**self.fields, "destination_number": destination}.get(name, "")
        )
        found = re.search(condition.get("expression", ""), value)
        self._groups = found.groups() if found else ()
        return found is not None

    def _caught(self, data: str) -> str:
        """What the condition's brackets caught, in place of $1 to $9."""
        return re.sub(r"\$([1-9])", lambda number: self._groups[int(number[1]) - 1], data)

    def _time(self, condition: ET.Element) -> bool:
        now = self.moment
        looked_at = {
            "year": now.year,
            "yday": now.timetuple().tm_yday,
            "wday": now.isoweekday() % 7 + 1,
            "minute-of-day": now.hour * 60 + now.minute,
        }
        return all(
            _in(condition.get(name), value) for name, value in looked_at.items() if condition.get(name)
        )

    def _expanded(self, text: str) -> str:
        return re.sub(r"\$\{([A-Za-z0-9_-]+)\}", lambda found: self.variables.get(found[1], ""), text)

    # applications

    def _answer(self, _data: str) -> None:
        self.did.append(("answer", ""))

    def _sched_hangup(self, _data: str) -> None:
        pass

    def _sched_transfer(self, _data: str) -> None:
        pass

    def _sched_cancel(self, _data: str) -> None:
        pass

    def _phrase(self, data: str) -> None:
        name, _, value = data.partition(",")
        self.did.append(("say", f"{name.removeprefix('say_')} {value}"))

    def _socket(self, _data: str) -> None:
        """What the clerk writes: `clerk` answers the question that the variables hold."""
        question = self.variables.get("ky_question", "")
        if question.startswith("recording:"):
            self.did.append(("recording", question.removeprefix("recording:")))
        self.variables |= self.clerk(question) if self.clerk else {}

    def _event(self, data: str) -> None:
        told = dict(one.split("=", 1) for one in data.split(","))
        assert (told["Event-Name"], told["Event-Subclass"]) == ("CUSTOM", names.STAY_EVENT)
        self.stays.append((told["Kyusai-What"], told["Kyusai-Name"], told["Kyusai-Change"]))

    def _sleep(self, _data: str) -> None:
        pass

    def _export(self, _data: str) -> None:
        pass

    def _set(self, data: str) -> None:
        name, _, value = data.partition("=")
        self.variables[name] = value

    def _unset(self, data: str) -> None:
        self.variables.pop(data, None)

    def _playback(self, data: str) -> None:
        self.heard += _files(data)

    def _transfer(self, data: str) -> tuple[str, str]:
        destination, _, context = data.split(" ")
        return destination, context

    def _execute_extension(self, data: str) -> None:
        destination, _, context = data.split(" ")
        assert self._execute(destination, context) is None

    def _hangup(self, data: str) -> None:
        self.did.append(("hangup", data))
        self.over = True

    def _voicemail(self, data: str) -> None:
        self.did.append(("voicemail", data.split(" ")[-1]))
        self.over = True

    def _bridge(self, data: str) -> None:
        self.did.append(("bridge", data))
        answered = self._next() == "a"
        self.over = self.over or answered

    def _play_and_get_digits(self, data: str) -> None:
        least, most, tries, _, ends, question, wrong, variable, right, *_ = data.split(" ")
        assert (tries, _files(wrong)) == ("1", [])
        self.heard += _files(question)
        self.variables.pop(f"{variable}_invalid", None)
        given = self._next().strip("a")
        if self.over:
            return
        typed = given.split(ends)[0][: int(most)] if ends != "none" else given[: int(most)]
        self.variables[variable] = typed  # also what was cut off by the time stays there
        self.variables["read_result"] = "success" if len(typed) >= int(least) else "failure"
        if ends in given[: int(most)]:
            self.variables["read_terminator_used"] = ends
        if len(typed) >= int(least) and typed and not re.search(right, typed):
            self.variables.pop(variable)
            self.variables[f"{variable}_invalid"] = typed

    def _next(self) -> str:
        if not self.script:
            self.over = True
            return ""
        return self.script.pop(0)


def contexts(text: str) -> dict[str, ET.Element]:
    """The contexts of a rendered dialplan.xml, by name."""
    return {one.get("name", ""): one for one in ET.fromstring(f"<x>{text}</x>").iter("context")}  # noqa: S314 - ours


def _files(data: str) -> list[str]:
    return [one for one in data.removeprefix("file_string://").split("!") if not one.startswith("silence")]


def _in(ranges: str | None, value: int) -> bool:
    """FreeSWITCH's `switch_number_cmp`."""
    for part in (ranges or "").split(","):
        low, _, high = part.partition("-")
        if int(low) <= value <= int(high or low):
            return True
    return False
