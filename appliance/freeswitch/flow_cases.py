"""When a branch's case holds: said directly for the simulator, and as one regular expression for the dialplan. Pure."""

import re

from appliance.freeswitch.flow import Case

DIGITS_MAX = 9
"""Of numbers that `at_least` compares."""


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
