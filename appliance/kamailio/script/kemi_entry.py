"""What Kamailio loads: hands the KSR object to the handler. Rendered by `appliance.kamailio.render`.

The copy that Kamailio reads lies alone in its folder, because that folder becomes `sys.path[0]`. Nothing is opened
here: the script runs before the fork.
"""

import gc
import site

INSTALL_ROOT = "@INSTALL_ROOT@"
SETTINGS = "@SETTINGS@"

site.addsitedir(INSTALL_ROOT)

import KSR  # noqa: E402

from appliance.kamailio import handler  # noqa: E402


def mod_init() -> handler.Handler:
    """Kamailio calls this once, before the fork; the methods of what it gets are the routes."""
    made = handler.begin(KSR, SETTINGS)
    gc.freeze()  # what is there now stays: no process looks through it for garbage, and so takes a copy of its own
    return made
