"""What Kamailio loads: hands the KSR object to the handler. Rendered by `appliance.kamailio.render`.

The copy that Kamailio reads lies alone in its folder, because that folder becomes `sys.path[0]`. Nothing is opened
here: the script runs before the fork.
"""

import site

INSTALL_ROOT = "@INSTALL_ROOT@"
SETTINGS = "@SETTINGS@"

site.addsitedir(INSTALL_ROOT)

import KSR  # noqa: E402

from appliance.kamailio import handler  # noqa: E402


def mod_init() -> handler.Handler:
    """Kamailio calls this once, before the fork; the methods of what it gets are the routes."""
    return handler.begin(KSR, SETTINGS)
