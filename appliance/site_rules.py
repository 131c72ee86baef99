"""Rules of the site document beyond single fields, in English: key -> (message, hint). Pure."""

SITE_TEMPLATES: dict[str, tuple[str, str]] = {
    "site.number_taken": ("{value} is already taken by {other}", "Give one of the two another number."),
    "site.username_taken": (
        "{value} is already the user name of {other}",
        "Give each phone its own user name.",
    ),
    "site.public_number_taken": (
        "{value} already leads to {other}",
        "A public number can lead to one extension or group; use a group to reach several.",
    ),
    "site.public_number_own": (
        "{value} leads to {other} at this very site",
        "Remove the entry: another site's extension needs that site's number.",
    ),
    "site.member_unknown": (
        "{value} is not an extension of this site",
        "Correct the number or add the extension.",
    ),
    "site.gateway_unknown": ("{value} is not the id of a gateway; known are {known}", "Correct the id."),
    "site.id_taken": ("{value} is already the id of {other}", "Give each upstream and gateway its own id."),
    "site.address_taken": (
        "{value} is already the address of {other}",
        "The box knows a peer by its address: give each upstream and gateway its own address and port.",
    ),
    "site.upstream_missing": (
        "{value} needs an upstream, but the document lists none",
        "Add an upstream, or choose another setting.",
    ),
    "site.credential_missing": (
        "extension {value} has neither ha1_md5 nor ha1_sha256, so its phone could not register",
        "Give at least one of the two.",
    ),
    "site.password_weak": (
        "the password of extension {value} is one of those that scanners try first",
        "Give the phone a random password of 12 characters or more, and make both digests from it.",
    ),
    "site.pin_weak": (
        "the PIN of extension {value} is one of those that are tried first",
        "Give another PIN of 4 to 10 digits.",
    ),
    "site.emergency_required": (
        "{value} is missing; country {country} requires {required}",
        "Add the number.",
    ),
    "site.emergency_shadowed": (
        "emergency number {value} cannot be dialled, because {other} stands in its way",
        "Change {other}; an emergency number must reach the emergency service from every phone.",
    ),
    "site.emergency_kind": (
        "gateway {value} is to carry emergency calls, but its kinds lack emergency",
        "Add emergency to the gateway's kinds, or name another gateway.",
    ),
    "site.emergency_gateway_none": (
        "no gateway is named, although the site has gateways",
        "Name the gateways that carry emergency calls, first choice first.",
    ),
    "site.outside_prefix_shadows": (
        "{value} begins with the outside prefix {prefix}, so that phones could not dial it",
        "Choose another number or another outside prefix.",
    ),
    "site.network_wide": (
        "{value} is wider than /{least}; such a network would trust strangers",
        "Name the site's own networks.",
    ),
    "site.forward_self": ("{value} forwards to itself", "Name another number, or remove the forwarding."),
    "site.forward_loop": ("the forwarding goes round for ever: {chain}", "Change one of these numbers."),
    "site.forward_emergency": (
        "{value} is an emergency number; calls must not be forwarded there",
        "Name another number.",
    ),
    "site.forward_nobody": (
        "{value} is neither a number of this site nor one that can be dialled outside",
        "Correct the number; outside numbers begin with {prefixes}.",
    ),
    "site.limit_empty": (
        "a limit from {value} to {value} never holds",
        "Write 00:00 and 24:00 for the whole day; a limit may go past midnight.",
    ),
    "site.code_taken": (
        "{value} is already taken by {other}",
        "Choose another code, or write off to do without the feature.",
    ),
    "site.pause_codes_alike": (
        "{value} and {other}: one ends with the other, so it would always be taken for it",
        "Choose two codes that end differently.",
    ),
    "site.retention_twice": ("the class {value} is named twice", "Remove one of the two."),
    "site.retention_unknown": (
        "{value} is none of this document's",
        "Name a class of recording.retention, an extension or a group of this document.",
    ),
    "site.retention_endless": (
        "recording.retention gives the class {value} no days: its recordings are never deleted",
        "Add the class, or correct its name.",
    ),
    "site.no_gateway": (
        "the site has no gateway: while the link is down nobody can call outside, not even for help",
        "Add a local gateway or a second trunk.",
    ),
    "site.no_recipient": (
        "calls are recorded, but the document names no recipient to encrypt the recordings for",
        "Add recording.recipients, or make sure that enrolment brought one.",
    ),
}
"""Rules about fields together: key -> (message, hint). The last three are warnings."""

TEXT_TEMPLATES: dict[str, tuple[str, str]] = {
    "json.large": (
        "the document has {length} bytes; at most {most} are allowed",
        "Divide the site, or remove what it does not need.",
    ),
    "json.encoding": ("the document is not UTF-8: {detail}", "Save it as UTF-8."),
    "json.syntax": ("the document is not JSON: {detail}", "Correct the place named."),
    "json.deep": ("the document is nested too deeply", "Remove the superfluous brackets."),
    "json.doubled": ("the name {name} stands twice in one object", "Remove one of the two."),
}
"""Rules about the text: key -> (message, hint)."""
