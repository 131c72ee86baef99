"""What a picture of a flow calls nodes, ways out and what a branch looks at, in the reader's language."""

from appliance.freeswitch.flow import OUTCOMES, Kind, Subject
from appliance.text import Lang, text

NAMES = tuple(dict.fromkeys((*Kind, *(one for ways in OUTCOMES.values() for one in ways), *Subject)))
"""As the site document spells them."""


def words(language: Lang) -> dict[str, str]:
    """Each name and how it is shown."""
    return {name: text(f"flow.shown.{name}", language) for name in NAMES}
