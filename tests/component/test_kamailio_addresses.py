"""A box that starts while its line is unplugged: the interface has no address, and the site's phones must not wait for it."""

from dataclasses import replace

from appliance.kamailio import render
from tests.helpers.registrar_box import registrar_box

NOT_HERE = "198.51.100.2"
"""An address of no interface of this machine (RFC 5737)."""


async def test_phones_register_while_the_wan_interface_has_no_address() -> None:
    async with registrar_box(2, start=False) as rig:
        sip = replace(rig.box.settings.sip, wan=NOT_HERE, wan_advertise="")
        render.write(replace(rig.box.settings, sip=sip), rig.box.layout)
        await rig.box.start("kamailio")
        async with rig.phone("201", 1) as phone:
            assert (await phone.register(600)).code == 200
