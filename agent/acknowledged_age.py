"""How long copies of acknowledged records are kept: as for records that wait, age is what the agent has counted while it ran."""

from agent.acknowledged import Acknowledged
from agent.record_retention import ages_from
from agent.spool import Spool
from appliance.site_model import Keeping

AGES = "copies_kept_s"
"""The cursor with the counted ages."""


def forget_old(copies: Acknowledged, spool: Spool, keeping: Keeping, passed_s: float) -> None:
    """Let go of copies that are older than they are kept. passed_s: since the last look. Blocks. Raises SpoolError, OSError."""
    ages = ages_from(spool.cursor(AGES)).passed(passed_s, copies.mark())
    spool.append(cursors={AGES: ages.as_json()})
    below = ages.too_old_below(keeping)
    if below:
        copies.forget_below(below)
