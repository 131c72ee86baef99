"""What FreeSWITCH is told of the box: nothing listens outside loopback, and no module is loaded without a reason."""

import xml.etree.ElementTree as ET

import pytest

from appliance.freeswitch.modules import MODULES, REFUSED
from appliance.freeswitch.settings_xml import Settings, main_file

SETTINGS = Settings(
    address="127.0.0.1",
    sip_port=5090,
    kamailio_port=5092,
    esl_port=8021,
    rtp_min=20000,
    rtp_max=20999,
    password="p-w_1",  # noqa: S106 - made up
    site="/var/lib/kyusai/config/current/freeswitch",
    prompts="/var/lib/kyusai/prompts",
    voicemail="/var/lib/kyusai/audio/voicemail",
)


@pytest.fixture(scope="module")
def rendered() -> ET.Element:
    return ET.fromstring(main_file(SETTINGS))  # noqa: S314 - made by ourselves


def params(rendered: ET.Element, configuration: str) -> dict[str, str]:
    found = rendered.find(f".//configuration[@name='{configuration}']")
    assert found is not None
    return {one.get("name", ""): one.get("value", "") for one in found.iter("param")}


def test_every_module_has_a_reason_and_none_of_the_refused_ones_is_loaded(rendered: ET.Element) -> None:
    loaded = [one.get("module") for one in rendered.iter("load")]
    assert loaded == [module.name for module in MODULES]
    assert not set(loaded) & set(REFUSED)
    assert all(len(module.reason) > 15 for module in MODULES)
    assert len(loaded) == len(set(loaded))


def test_every_address_is_the_box_s_own_loopback(rendered: ET.Element) -> None:
    profile = params(rendered, "sofia.conf")
    assert (profile["sip-ip"], profile["rtp-ip"]) == ("127.0.0.1", "127.0.0.1")
    assert params(rendered, "event_socket.conf")["listen-ip"] == "127.0.0.1"
    assert "ext-sip-ip" not in profile
    assert "0.0.0.0" not in main_file(SETTINGS)  # noqa: S104


def test_only_kamailio_s_address_may_call_and_nobody_may_register(rendered: ET.Element) -> None:
    profile = params(rendered, "sofia.conf")
    assert (profile["apply-inbound-acl"], profile["auth-calls-acl-only"], profile["disable-register"]) == (
        "kamailio",
        "true",
        "true",
    )
    node = rendered.find(".//configuration[@name='acl.conf']//list[@name='kamailio']")
    assert node is not None
    assert (node.get("default"), [one.get("cidr") for one in node]) == ("deny", ["127.0.0.1/32"])


def test_a_telephone_that_sends_nothing_still_hears(rendered: ET.Element) -> None:
    """Without a timer a leg's audio is paced by what arrives, and 1.11 logs an error for each packet."""
    assert params(rendered, "sofia.conf")["rtp-timer-name"] == "soft"


def test_arguments_of_applications_run_no_commands_of_the_switch(rendered: ET.Element) -> None:
    assert params(rendered, "switch.conf")["api-expansion"] == "false"


def test_the_site_s_part_is_read_from_the_version_in_use() -> None:
    included = [line.split('"')[3] for line in main_file(SETTINGS).splitlines() if 'cmd="include"' in line]
    folder = "/var/lib/kyusai/config/current/freeswitch"
    assert included == [
        f"{folder}/{name}.xml" for name in ("globals", "configuration", "dialplan", "directory", "languages")
    ]
