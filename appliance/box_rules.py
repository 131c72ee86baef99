"""Rules of box.toml, in English: key -> (message, hint). Pure."""

from appliance.field_rules import FIELD_TEMPLATES

BOX_TEMPLATES: dict[str, tuple[str, str]] = FIELD_TEMPLATES | {
    "box.url": (
        "{value} is not an https URL with a literal address",
        "Write it as https://198.51.100.7:8443, without a path.",
    ),
    "box.port_clash": (
        "port {value} is taken by {other} on the same address",
        "Give each socket a port of its own.",
    ),
    "box.ports_few": (
        "{low} to {high} are {count} ports; at least {least} are needed",
        "Widen the range: a relayed call takes four ports.",
    ),
    "box.tls_half": (
        "tls_certificate and tls_key must be given together",
        "Give both, or neither: the box then makes a certificate of its own.",
    ),
    "box.ports_shared": (
        "{low} to {high} overlap with rtpengine's ports",
        "Give the two ranges of their own: both bind ports at the same address.",
    ),
    "box.not_loopback": (
        "{value} is not a loopback address; FreeSWITCH must not be reachable from outside the box",
        "Write 127.0.0.1, or leave it out for a box without media applications.",
    ),
    "box.run_dir_long": (
        "the path has {length} bytes; at most {most} are allowed",
        "Choose a shorter folder: a Unix socket's path may have no more than 107 bytes.",
    ),
    "box.toml": ("not TOML: {detail}", "Correct the file at the place named."),
}
