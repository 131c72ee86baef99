"""A strict stand-in for Kamailio's KSR module, built from the list that a real Kamailio 5.6.3 gave (`app_python.api_list`).

It knows every module, name, argument count, argument type and kind of result that the real one knows, and refuses the rest
with an assertion, where the real one would answer False and go on. Tables and queues work; the rest is said by `answers`.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

API = Path(__file__).resolve().parents[1] / "data" / "ksr_api_5.6.3.json"
_TYPES: dict[str, type] = {"str": str, "int": int}
_DEFAULTS: dict[str, Any] = {"int": 1, "bool": True, "none": None, "xval": None}
_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "bool": (bool,),
    "none": (type(None),),
    "xval": (str, int, type(None)),
}


def _api() -> dict[str, dict[str, list[str]]]:
    modules: dict[str, dict[str, list[str]]] = json.loads(API.read_text())["modules"]
    return modules


class _Module:
    def __init__(self, double: "KsrDouble", name: str, functions: Mapping[str, list[str]]) -> None:
        self._double = double
        self._name = name
        self._functions = functions

    def __getattr__(self, function: str) -> Callable[..., Any]:
        full = f"{self._name}.{function}" if self._name else function
        if function not in self._functions:
            raise AttributeError(f"Kamailio 5.6.3 has no KSR.{full}")
        kind, parameters = self._functions[function]
        wanted = [] if parameters == "none" else [word.strip() for word in parameters.split(",")]

        def call(*arguments: Any) -> Any:
            given = [type(argument) for argument in arguments]
            assert given == [_TYPES[word] for word in wanted], f"KSR.{full}{arguments}: wants ({parameters})"
            return self._double.called(full, kind, arguments)

        return call


class KsrDouble:
    """KSR as the code under test sees it. pvs: pseudo-variables. answers: result, or function of the arguments, by name
    ("tm.t_relay"). calls: what was called, in order, without logs and reads. tables, queues: as Kamailio would hold them."""

    def __init__(self, pvs: Mapping[str, str | int] | None = None, **answers: Any) -> None:
        self.pvs: dict[str, str | int] = dict(pvs or {})
        self.answers: dict[str, Any] = {name.replace("__", "."): value for name, value in answers.items()}
        self.calls: list[tuple[Any, ...]] = []
        self.log: list[str] = []
        self.tables: dict[str, dict[str, str | int]] = {}
        self.queues: dict[str, deque[tuple[str, str]]] = {}
        self._taken: dict[str, tuple[str, str]] = {}
        self._own = {
            "pv.get": lambda name: self.pvs.get(name),
            "pv.gete": lambda name: self.pvs.get(name, ""),
            "pv.sets": self._set,
            "pv.seti": self._set,
            "pv.unset": lambda name: self.pvs.pop(name, None) is not None or True,
            "hdr.get": lambda name: self.pvs.get(f"$hdr({name})"),
            "hdr.gete_idx": lambda name, index: self.pvs.get(f"$(hdr({name})[{index}])", ""),
            "kx.get_method": lambda: self.pvs.get("$rm", "OPTIONS"),
            "kx.get_srcip": lambda: self.pvs.get("$si", "192.0.2.101"),
            "kx.get_srcport": lambda: self.pvs.get("$sp", 5060),
            "kx.gete_ua": lambda: self.pvs.get("$ua", ""),
            "siputils.has_totag": lambda: 1 if self.pvs.get("$tt") else -1,
            "htable.sht_get": lambda table, key: self._table(table).get(key),
            "htable.sht_gete": lambda table, key: self._table(table).get(key, ""),
            "htable.sht_sets": self._keep,
            "htable.sht_seti": self._keep,
            "htable.sht_rm": self._forget,
            "htable.sht_inc": self._count,
            "mqueue.mq_add": self._add,
            "mqueue.mq_fetch": self._fetch,
            "mqueue.mqk_gete": lambda queue: self._taken[queue][0],
            "mqueue.mqv_gete": lambda queue: self._taken[queue][1],
            "tmx.t_precheck_trans": lambda: -1,
            "tm.t_check_trans": lambda: -1,
            "tm.t_is_canceled": lambda: -1,
        }
        api = _api()
        self._core = _Module(self, "", api[""])
        for name, functions in api.items():
            if name:
                setattr(self, name, _Module(self, name, functions))

    def __getattr__(self, function: str) -> Callable[..., Any]:
        return getattr(self._core, function)  # type: ignore[no-any-return]

    def called(self, full: str, kind: str, arguments: tuple[Any, ...]) -> Any:
        """The result of one call, checked against the kind that the real function gives."""
        if full in ("info", "warn", "err", "notice", "dbg", "crit"):
            self.log.append(str(arguments[0]))
            return None
        if not full.startswith(("pv.get", "hdr.get", "kx.", "htable.sht_get")):
            self.calls.append((full, *arguments))
        answer = self.answers.get(full, self._own.get(full, _DEFAULTS[kind]))
        if isinstance(answer, BaseException):
            raise answer
        result = answer(*arguments) if callable(answer) else answer
        assert result is False or isinstance(result, _KINDS[kind]), f"KSR.{full} never gives {result!r}"
        return result

    def names(self) -> list[str]:
        """Names of what was called, in order."""
        return [call[0] for call in self.calls]

    def replies(self) -> list[tuple[int, str]]:
        """Codes and reasons of the replies sent."""
        return [(call[1], call[2]) for call in self.calls if call[0] in ("sl.send_reply", "tm.t_send_reply")]

    def _set(self, name: str, value: str | int) -> bool:
        self.pvs[name] = value
        return True

    def _table(self, name: str) -> dict[str, str | int]:
        return self.tables.setdefault(name, {})

    def _keep(self, table: str, key: str, value: str | int) -> int:
        self._table(table)[key] = value
        return 1

    def _forget(self, table: str, key: str) -> int:
        return 1 if self._table(table).pop(key, None) is not None else -1

    def _count(self, table: str, key: str) -> int:
        value = int(self._table(table).get(key, 0)) + 1
        self._table(table)[key] = value
        return value

    def _add(self, queue: str, key: str, value: str) -> int:
        if not key or not value:
            return -1
        self.queues.setdefault(queue, deque()).append((key, value))
        return 1

    def _fetch(self, queue: str) -> int:
        items = self.queues.setdefault(queue, deque())
        if not items:
            return -1
        self._taken[queue] = items.popleft()
        return 1
