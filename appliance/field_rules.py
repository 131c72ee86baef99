"""Rules that a field of any document can break, in English: key -> (message, hint). Pure."""

FIELD_TEMPLATES: dict[str, tuple[str, str]] = {
    "field.unknown": ("{name} is not a field here; known are {known}", "Remove it, or update this software."),
    "field.misspelt": ("{name} is not a field here", "Did you mean {suggestion}?"),
    "field.secret": (
        "a clear password has no place in a document; only its digests are kept",
        "Remove it and give ha1_md5 and ha1_sha256, made from user name, realm and password.",
    ),
    "field.missing": ("the field is missing", "Add it: {expected}."),
    "field.type": ("{value} is of type {found}; must be of type {expected}", "Write it as {expected}."),
    "field.range": (
        "{value} is out of range; must be {low} to {high}",
        "Choose a value from {low} to {high}.",
    ),
    "field.choice": ("{value} is not a choice; must be one of {allowed}", "Choose one of {allowed}."),
    "field.empty": ("the text is empty; must have 1 to {most} characters", "Fill it in."),
    "field.long": ("the text has {length} characters; at most {most} are allowed", "Shorten it."),
    "field.control": (
        "{value} holds the control character {character} at position {position}; none are allowed",
        "Type the text again; such characters come from copying out of other programs.",
    ),
    "field.hex": (
        "the text has {length} characters; must be exactly {digits} lower-case hexadecimal digits",
        "Make it anew from user name, realm and password.",
    ),
    "field.many": ("{count} entries; at most {most} are allowed", "Remove entries, or divide the site."),
    "field.few": ("{count} entries; at least {least} are needed", "Add entries."),
    "field.doubled": ("{value} stands here twice", "Remove one of the two."),
    "field.more": ("{count} more problems are not listed", "Correct those above first."),
    "field.pattern": ("{value} is not {expected}", "Write {expected}, such as {example}."),
    "address.name": (
        "{value} is not a literal address",
        "Write the IPv4 or IPv6 address itself: names cannot be looked up while the line is down.",
    ),
    "address.unusable": (
        "{value} is an address that nobody can be reached at",
        "Write the address of one machine: neither 0.0.0.0 or :: nor a multicast address.",
    ),
    "address.syntax": ("{value} is not {expected}", "Write {expected}, such as {example}."),
    "address.port": ("{value} has a port out of range; must be 1 to 65535", "Correct the port."),
    "address.parameter": (
        "{value} has an unknown parameter; only transport=udp, tcp or tls is allowed",
        "Remove the parameter.",
    ),
}
"""Rules that any document can break: key -> (message, hint)."""
