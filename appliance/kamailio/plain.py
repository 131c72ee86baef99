"""Which calls Kamailio carries by itself once they are on their way: the common one, telephone to telephone. Pure.

For such a call routes.cfg writes the branch, reads the replies, passes ACK and BYE on and tells the journal, which costs a
small part of what Python costs for it. Everything that fails, and everything unusual, is Python's: forwarding, groups,
peers, recorded or relayed audio, emergency calls, calls that a cloud sends back.
"""

from appliance.kamailio.actions import Plan, StepKind
from appliance.kamailio.request import CallFacts, Origin
from appliance.kamailio.turns import groups_in


def is_plain(facts: CallFacts, plan: Plan) -> bool:
    """Whether a plan's first step may be left to routes.cfg, as far as the plan goes; its audio has to be direct too."""
    step = plan.steps[0]
    if facts.origin is not Origin.PHONE or plan.record or plan.emergency:
        return False
    if step.kind is not StepKind.CONTACTS or len(step.users) != 1 or step.users[0] == facts.origin_id:
        return False
    return not groups_in(plan)
