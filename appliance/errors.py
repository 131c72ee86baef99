"""The root of every error that a person may get to see. Imports nothing of ours.

One line says the value, the rule and the allowed range; the hint, apart from it, says what to do. The key is
stable: user interfaces translate by it (`appliance.text.explain`) and tests and alarms refer to it.
"""

from collections.abc import Mapping


class KyusaiError(Exception):
    """An error with a stable key.

    key: dotted name, the same in every release, e.g. "box.missing". message: one English line.
    hint: what to do, or "". values: what the translated text's placeholders are filled with.
    """

    def __init__(self, key: str, message: str, hint: str = "", **values: object) -> None:
        super().__init__(message)
        self.key = key
        self.message = message
        self.hint = hint
        self.values: Mapping[str, object] = values

    def __str__(self) -> str:
        return self.message
