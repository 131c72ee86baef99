"""XML that FreeSWITCH reads: values to text, so that nothing a person wrote can become markup or an instruction. Pure.

FreeSWITCH preprocesses its files as text, line by line, before any XML is parsed (`preprocess` in switch_xml.c, 1.11.2):
"$${name}" becomes a global variable, and a line that holds "X-PRE-PROCESS" anywhere is taken out. The sequences are
therefore written as character references, which only the parser that comes afterwards understands.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_ALLOWED = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
"""XML 1.0 section 2.2: characters that a document may hold at all."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
_REFERENCES |= {character: f"&#{ord(character)};" for character in "\t\n\r"}
_DIRECTIVE = re.compile("(x)-(?=pre-process)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Element:
    """One element: a name, attributes in order, and children. Text content is not used in FreeSWITCH's files."""

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: tuple["Node", ...] = ()


@dataclass(frozen=True, slots=True)
class Include:
    """Files that are read in this place: a path, whose last part may hold "*"."""

    path: str


@dataclass(frozen=True, slots=True)
class Global:
    """A global variable, set while the file is read; channels see it where they have none of that name."""

    name: str
    value: str


Node = Element | Include | Global


def element(tag: str, /, *children: Node, **attributes: object) -> Element:
    """An element. A trailing underscore of an attribute's name is dropped, any other becomes a hyphen ("time_of_day")."""
    named = {name.rstrip("_").replace("_", "-"): str(value) for name, value in attributes.items()}
    return Element(tag, named, children)


def param(name: str, value: object) -> Element:
    """FreeSWITCH's usual way to set something."""
    return element("param", name=name, value=value)


def action(application: str, data: str = "", **more: object) -> Element:
    """One step of a dialplan extension."""
    return element("action", application=application, data=data, **more)


def text(*nodes: Node) -> str:
    """A file's text: each node indented, one element a line. Raises ValueError for what XML cannot say."""
    lines: list[str] = []
    for node in nodes:
        _write(node, 0, lines)
    return "\n".join(lines) + "\n"


def document(children: Iterable[Node]) -> str:
    """The main file: everything in FreeSWITCH's outermost element."""
    inner = text(*children)
    return f'<document type="freeswitch/xml">\n{inner}</document>\n'


def escaped(value: str) -> str:
    """`value` for an attribute. Raises ValueError for a character that no XML document may hold."""
    if not _ALLOWED.fullmatch(value):
        raise ValueError(f"{ascii(value)[:60]}: a character that XML cannot hold")
    marked = "".join(_REFERENCES.get(character, character) for character in value)
    return _DIRECTIVE.sub(r"\1&#45;", marked.replace("$$", "&#36;&#36;"))


def _write(node: Node, depth: int, lines: list[str]) -> None:
    indent = "  " * depth
    if isinstance(node, Include):
        lines.append(f'{indent}<X-PRE-PROCESS cmd="include" data="{_plain(node.path)}"/>')
        return
    if isinstance(node, Global):
        lines.append(f'{indent}<X-PRE-PROCESS cmd="set" data="{_name(node.name)}={_plain(node.value)}"/>')
        return
    for name in (node.name, *node.attributes):
        _name(name)
    words = [node.name, *(f'{name}="{escaped(value)}"' for name, value in node.attributes.items())]
    if not node.children:
        lines.append(f"{indent}<{' '.join(words)}/>")
        return
    lines.append(f"{indent}<{' '.join(words)}>")
    for child in node.children:
        _write(child, depth + 1, lines)
    lines.append(f"{indent}</{node.name}>")


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no XML name")
    return name


def _plain(value: str) -> str:
    """The preprocessor knows no references: what would need one cannot be said in its lines."""
    if escaped(value) != value:
        raise ValueError(f"{value!r}: FreeSWITCH's preprocessor cannot take these characters")
    return value
