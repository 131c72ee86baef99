"""Lets the phones' SIP stack live on any loopback address, not only 127.0.0.1.

The stack takes addresses that interfaces carry by name, and lets the kernel choose the source of what it sends. The
kernel accepts every address in 127.0.0.0/8, but names and prefers 127.0.0.1 alone. ``pretend`` steps into four of the
stack's functions inside this process: ``net_if_apply`` (which addresses are there), ``udp_listen`` and
``tcp_conn_connect`` (sockets that would be bound to no address are bound to the phone's) and ``sa_is_loopback`` (ICE would
offer no such address). It points their entries in the extension module's jump table at Python functions. Made for
the pinned baresip-python wheel; an incompatible one is refused with the reason.
"""

import ctypes
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_JUMP_TABLE, _SYMBOLS, _NAMES = ".rela.plt", ".dynsym", ".dynstr"
_SECTION, _RELOCATION, _SYMBOL = struct.Struct("<IIQQQQIIQQ"), struct.Struct("<QQq"), struct.Struct("<IBBHQQ")

_ADDRESS_BYTES = 256
"""More than libre's ``struct sa`` on any platform (a sockaddr union and its length)."""

_InterfaceHandler = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p)

_kept_alive: list[Any] = []
"""The stack calls these for as long as the process lives."""


class UnknownStack(RuntimeError):
    """The installed extension module is not built as expected."""


def pretend(address: str) -> None:
    """From now on the stack knows ``address`` as its only one and sends everything from it.

    Call before the runtime starts. Raises ``UnknownStack``.
    """
    from baresip import _native

    path = Path(str(_native.__file__))
    library = ctypes.CDLL(str(path))
    set_address = library.sa_set_str
    set_address.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint16]
    library.sa_is_any.restype = ctypes.c_bool
    library.sa_port.restype = ctypes.c_uint16
    place = ctypes.create_string_buffer(_ADDRESS_BYTES)
    if set_address(place, address.encode(), 0) != 0:
        raise UnknownStack(f"the phones' SIP stack does not take the address {address}")

    def interfaces(handler: Any, argument: int) -> int:
        handler(b"lo", ctypes.addressof(place), argument)
        return 0

    def listen(socket: int, local: int, receiver: int, argument: int) -> int:
        pointers = [ctypes.c_void_p(value) for value in (socket, local, receiver, argument)]
        if not local or library.sa_is_any(pointers[1]):
            own = ctypes.create_string_buffer(_ADDRESS_BYTES)
            set_address(own, address.encode(), library.sa_port(pointers[1]) if local else 0)
            return int(library.udp_listen(pointers[0], own, pointers[2], pointers[3]))
        return int(library.udp_listen(*pointers))

    def connect(connection: int, peer: int) -> int:
        library.tcp_conn_bind(ctypes.c_void_p(connection), place)
        return int(library.tcp_conn_connect(ctypes.c_void_p(connection), ctypes.c_void_p(peer)))

    def is_loopback(_address: int) -> bool:
        return False

    answers = {
        "sa_is_loopback": ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)(is_loopback),
        "tcp_conn_connect": ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(connect),
        "net_if_apply": ctypes.CFUNCTYPE(ctypes.c_int, _InterfaceHandler, ctypes.c_void_p)(interfaces),
        "udp_listen": ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 4)(listen),
    }
    _kept_alive.extend((library, place, answers))
    elf, loaded_at = path.read_bytes(), _load_address(path)
    for question, answer in answers.items():
        slot = ctypes.c_void_p.from_address(loaded_at + jump_slot(elf, question))
        slot.value = ctypes.cast(answer, ctypes.c_void_p).value


def jump_slot(elf: bytes, name: str) -> int:
    """Offset, from where the module is loaded, of its jump-table entry for the function ``name``.

    Raises ``UnknownStack`` when the module is not a 64-bit little-endian ELF file or does not call it that way.
    """
    if elf[:6] != b"\x7fELF\x02\x01":
        raise UnknownStack("the phones' SIP stack is not a 64-bit little-endian ELF module")
    sections = dict(_sections(elf))
    try:
        table, symbols, names = (sections[key] for key in (_JUMP_TABLE, _SYMBOLS, _NAMES))
    except KeyError as error:
        raise UnknownStack(f"the phones' SIP stack has no section {error}") from None
    for offset, info, _ in _RELOCATION.iter_unpack(table):
        start = _SYMBOL.unpack_from(symbols, (info >> 32) * _SYMBOL.size)[0]
        if names[start : names.index(b"\0", start)] == name.encode():
            return int(offset)
    raise UnknownStack(
        f"the phones' SIP stack does not call {name} through its jump table; is it the pinned version?"
    )


def _sections(elf: bytes) -> Iterator[tuple[str, bytes]]:
    (start,) = struct.unpack_from("<Q", elf, 0x28)
    size, count, names_index = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [_SECTION.unpack_from(elf, start + index * size) for index in range(count)]
    names_at = headers[names_index][4]
    for name, _, _, _, offset, length, *_ in headers:
        end = elf.index(b"\0", names_at + name)
        yield elf[names_at + name : end].decode(), elf[offset : offset + length]


def _load_address(path: Path) -> int:
    for line in Path("/proc/self/maps").read_text().splitlines():
        words = line.split()
        if words[-1] == str(path.resolve()) and words[2] == "00000000":
            return int(words[0].partition("-")[0], 16)
    raise UnknownStack(f"{path} is not loaded")
