"""When a branch's case holds, and what can be said: for the simulator, and as regular expressions for the dialplan. Pure."""

import re

from appliance.freeswitch.flow import Case, Saying

DIGITS_MAX = 9
"""Of numbers that `at_least` compares."""


SAID = {
    Saying.NUMBER: ("^0*([0-9]{1,12})$", "$1"),
    Saying.DIGITS: ("^([0-9*#+]{1,32})$", "$1"),
    Saying.TELEPHONE: ("^([0-9*#+]{1,32})$", "$1"),
    Saying.AMOUNT: ("^0*([0-9]{1,12})$", "$1"),
    Saying.DATE: ("^([0-9]{4})-?([0-9]{2})-?([0-9]{2})$", "$1-$2-$3"),
    Saying.TIME: ("^([0-9]{2}):?([0-9]{2})$", "$1:$2"),
}
"""What can be said of each kind, and how FreeSWITCH's phrase wants it. Another value is passed over in silence."""


def said(saying: Saying, value: str) -> str:
    """What FreeSWITCH's phrase is given, "" for what cannot be said so."""
    pattern, data = SAID[saying]
    found = re.fullmatch(pattern, value, re.ASCII)
    return found.expand(data.replace("$", "\\")) if found else ""


def holds(case: Case, value: str) -> bool:
    """Whether anything of the case holds for a value."""
    number = int(value) if re.fullmatch(f"[0-9]{{1,{DIGITS_MAX}}}", value, re.ASCII) else -1
    return bool(
        (case.matches and re.fullmatch(case.matches, value, re.ASCII))
        or value in case.values
        or value.startswith(tuple(filter(None, case.prefixes)))
        or (case.at_least is not None and number >= case.at_least)
    )


def expression(case: Case) -> str:
    """The same for FreeSWITCH, which looks for it anywhere. "$" alone would let a line feed at the end pass."""
    whole = [case.matches] if case.matches else []
    whole += [re.escape(value) for value in case.values]
    whole += [f"{re.escape(prefix)}.*" for prefix in case.prefixes]
    whole += [_at_least(case.at_least)] if case.at_least is not None else []
    return f"^(?:{'|'.join(whole)})$(?!\\n)"


def _at_least(least: int) -> str:
    """Whole numbers from `least` on, written without zeros in front or with them."""
    digits = str(least)
    ways = [digits, f"[1-9][0-9]{{{len(digits)},{DIGITS_MAX - 1}}}"]
    for place, digit in enumerate(digits):
        if digit != "9":
            rest = len(digits) - place - 1
            ways.append(f"{digits[:place]}[{int(digit) + 1}-9]" + (f"[0-9]{{{rest}}}" if rest else ""))
    return f"0*(?:{'|'.join(ways)})"
