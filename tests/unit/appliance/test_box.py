"""Box settings: an installer must learn all of his mistakes at once, and a default must be safe."""

from pathlib import Path

import pytest

from appliance import box
from appliance.box import Agent, Box, BoxInvalid, Centre, Rtp, Sip

SMALLEST = """
[box]
id = "tokyo-1-a"
[sip]
lan = "192.0.2.10"
"""


def problems(text: str) -> list[tuple[str, str]]:
    with pytest.raises(BoxInvalid) as caught:
        box.parse(text)
    return [(problem.path, problem.key) for problem in caught.value.problems]


def test_smallest_file_gets_stated_defaults() -> None:
    assert box.parse(SMALLEST) == Box(
        id="tokyo-1-a",
        state_dir=Path("/var/lib/kyusai"),
        run_dir=Path("/run/kyusai"),
        centre=Centre(""),
        sip=Sip("192.0.2.10", "192.0.2.10"),
        rtp=Rtp("192.0.2.10", "192.0.2.10"),
        agent=Agent("127.0.0.1:9469"),
    )


def test_media_addresses_follow_the_sip_ones() -> None:
    settings = box.parse(SMALLEST + 'wan = "2001:db8::2"\n[rtp]\nport_min = 40000\nport_max = 40999\n')
    assert settings.rtp == Rtp("192.0.2.10", "2001:db8::2", port_min=40000, port_max=40999)


def test_ipv6_endpoints_are_read() -> None:
    settings = box.parse(SMALLEST + 'wan_advertise = "[2001:db8::7]:5080"\n')
    assert settings.sip.wan_advertise == "[2001:db8::7]:5080"


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("lan_prot = 5060", [("sip.lan_prot", "field.misspelt")]),
        ("lan_port = 0", [("sip.lan_port", "field.range")]),
        ("lan_port = 65536", [("sip.lan_port", "field.range")]),
        ("lan_port = '5060'", [("sip.lan_port", "field.type")]),
        ("lan_port = true", [("sip.lan_port", "field.type")]),
        ("lan_port = 1.5", [("sip.lan_port", "field.type")]),
        ("lan_port = nan", [("sip.lan_port", "field.type")]),
        ("lan_tls_port = 5060", [("sip.lan_tls_port", "box.port_clash")]),
        ("wan_port = 5061", [("sip.wan_port", "box.port_clash")]),
        ("wan = 'sip.example'", [("sip.wan", "address.name")]),
        ("wan = '0.0.0.0'", [("sip.wan", "address.unusable")]),
        ("wan = '224.0.0.1'", [("sip.wan", "address.unusable")]),
        ("wan = 'fe80::1%eth0'", [("sip.wan", "address.syntax")]),
        ("wan_advertise = '198.51.100.7'", [("sip.wan_advertise", "address.syntax")]),
        ("wan_advertise = '198.51.100.7:70000'", [("sip.wan_advertise", "address.port")]),
        ("children = 0", [("sip.children", "field.range")]),
        ("tls_key = '/k.pem'", [("sip.tls_certificate", "box.tls_half")]),
        ("tls_key = 'k.pem'", [("sip.tls_key", "field.pattern")]),
        ("[rtp]\nport_min = 30000\nport_max = 30050", [("rtp.port_max", "box.ports_few")]),
        ("[rtp]\nport_min = 40000\nport_max = 30000", [("rtp.port_max", "box.ports_few")]),
        ("[rtp]\nng = '127.0.0.1'", [("rtp.ng", "address.syntax")]),
        ("[centre]\nurl = 'http://198.51.100.7'", [("centre.url", "box.url")]),
        ("[centre]\nurl = 'https://centre.example'", [("centre.url", "box.url")]),
        ("[centre]\nurl = 'https://198.51.100.7/v1'", [("centre.url", "box.url")]),
        ("[agnet]", [("agnet", "field.misspelt")]),
    ],
)
def test_fault_is_named_with_its_path(added: str, expected: list[tuple[str, str]]) -> None:
    assert problems(f"{SMALLEST}{added}\n") == expected


def test_every_fault_is_listed_at_once() -> None:
    text = '[box]\nid = "Tokyo 1"\nstate_dir = "lib"\n[sip]\nlan_port = -1\n[centre]\nurl = "x"\n'
    assert problems(text) == [
        ("box.id", "field.pattern"),
        ("box.state_dir", "field.pattern"),
        ("centre.url", "box.url"),
        ("sip.lan", "field.missing"),
        ("sip.lan_port", "field.range"),
    ]


def test_long_run_dir_is_refused_before_a_socket_fails() -> None:
    assert problems(f'[box]\nid = "a"\nrun_dir = "/{"r" * 64}"\n[sip]\nlan = "192.0.2.10"\n') == [
        ("box.run_dir", "box.run_dir_long")
    ]


def test_broken_toml_says_where() -> None:
    with pytest.raises(BoxInvalid) as caught:
        box.parse("[box\n", "/etc/kyusai/box.toml")
    assert "line 1" in caught.value.message
    assert caught.value.message.startswith("/etc/kyusai/box.toml has 1 problem")


def test_environment_names_another_file() -> None:
    assert box.box_path({"KYUSAI_BOX": "/tmp/b.toml"}) == Path("/tmp/b.toml")  # noqa: S108 - only a name
    assert box.box_path({}) == Path("/etc/kyusai/box.toml")
