"""Goes through FreeSWITCH's phrase macros as FreeSWITCH does, and tells which files it would play.

After `switch_ivr_phrase_macro_event` of switch_ivr_play_say.c: inputs are tried in order, those without
`break_on_match` let the next ones be tried, "$1" is what the first bracket caught, and a phrase within a phrase may be at
most 25 deep.
"""

import re
import xml.etree.ElementTree as ET

DEPTH_MAX = 25


class Macros:
    """The macros of one language, from the text of its element."""

    def __init__(self, text: str) -> None:
        language = ET.fromstring(text)  # noqa: S314 - made by ourselves
        groups = language.findall("phrases/macros")
        self._groups = {group.get("name", ""): group for group in groups}

    def play(self, macro: str, data: str, depth: int = 0) -> list[str]:
        """Files in the order of playing; "say:group:type:data" for what a say module is asked for."""
        assert depth < DEPTH_MAX, f"{macro} is nested too deeply"
        name, _, group = macro.partition("@")
        inputs = self._groups[group].findall(f"macro[@name='{name}']/input")
        assert inputs, f"there is no macro {macro}"
        played: list[str] = []
        matched = False
        for one in inputs:
            found = re.search(one.get("pattern", ""), data, re.ASCII)
            if not found:
                continue
            matched = True
            for action in one.findall("match/action"):
                played += self._do(action, found, group, depth)
            if one.get("break_on_match") == "true":
                break
        assert matched, f"nothing of {macro} fits {data!r}"
        return played

    def _do(self, action: ET.Element, found: re.Match[str], group: str, depth: int) -> list[str]:
        data = re.sub(r"\$([0-9]+)", lambda index: found[int(index[1])], action.get("data", ""))
        match action.get("function"):
            case "play-file":
                return data.removeprefix("file_string://").split("!")
            case "phrase":
                return self.play(action.get("phrase", ""), data, depth + 1)
            case "say":
                return [f"say:{group}:{action.get('type')}:{data}"]
            case other:
                raise AssertionError(other)
