"""The values that `render_worker` gives to a template: by name, each within its bounds.

A parameter or secret has the bounds that the template set declares, any other value those of `UNDECLARED`. The values
of the service itself are checked before rendering, whether or not they are used; all others (names and attributes of
entries, values of other services) when a template reads them. Imports Python's own modules only, as `render_worker`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from relocd.model.template_set import UNDECLARED, Declared, refusal

__all__ = ["Declarations", "OutOfBoundsError", "Reads", "Values", "context_of", "out_of_bounds"]

_SHOWN: Final = 60
_ONLY_IN_LIST: Final = frozenset({"role", "secrets"})  # keys that a service has only in the list `services`


class OutOfBoundsError(Exception):
    """A value that no template may get; the message shows no secret."""


class Reads:
    """Whether a template has read a secret."""

    def __init__(self) -> None:
        self.secret = False


@dataclass(frozen=True, slots=True)
class Declarations:
    """The parameters and secrets that the template set declares, by name."""

    parameters: Mapping[str, Declared] = field(default_factory=dict)
    secrets: Mapping[str, Declared] = field(default_factory=dict)

    @classmethod
    def of(cls, template: Mapping[str, Any]) -> Declarations:
        """The declarations that a template of a request comes with."""
        return cls(*({each["name"]: Declared(**each) for each in template[kind]} for kind in ("parameters", "secrets")))

    def completed(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """The context that templates see; in the scope `service` with the service itself and the defaults."""
        own = _own_service(context)
        if own is None:
            return {**context, "parameters": {}}
        defaults = {name: each.default for name, each in self.parameters.items() if each.default is not None}
        parameters = defaults | own["parameters"]
        service = {key: value for key, value in own.items() if key not in _ONLY_IN_LIST} | {"parameters": parameters}
        values = {key: value for key, value in context.items() if key != "clusters"}
        return values | {"service": service, "parameters": parameters}


class Values(Mapping[str, object]):
    """A mapping of the context; `where` is what a template calls it, for messages."""

    _hidden = False

    def __init__(self, values: Mapping[str, object], where: str, bounds: Mapping[str, Declared]) -> None:
        self._values = values
        self._bounds = bounds
        self.where = where

    def __getitem__(self, key: str) -> object:
        value = self._values[key]
        for text in value if isinstance(value, list) else (value,):
            why = self._problem(key, text) if isinstance(text, str) else ""
            if why:
                raise OutOfBoundsError(why)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(dict(self))

    def out_of_bounds(self, *, undeclared: bool) -> Iterator[str]:
        """Why values cannot be used: declared ones, and with `undeclared` all others as well."""
        for key, text in self._values.items():
            why = self._problem(key, text) if isinstance(text, str) and (undeclared or key in self._bounds) else ""
            if why:
                yield why

    def _problem(self, key: str, text: str) -> str:
        why = refusal(text, self._bounds.get(key, UNDECLARED))
        return why and f"{self.where}.{key} {'' if self._hidden else _shown(text)}{why}"


class EntryAttributes(Values):
    """Attributes of an entry by lower-case name: any case finds them."""

    def __getitem__(self, key: str) -> object:
        return super().__getitem__(key.lower())


class Secrets(Values):
    """Secrets of a service: each read of a value, or of all names, is recorded; no message shows a value."""

    _hidden = True

    def __init__(self, values: Mapping[str, object], where: str, bounds: Mapping[str, Declared], reads: Reads) -> None:
        super().__init__(values, where, bounds)
        self._reads = reads

    def __getitem__(self, key: str) -> object:
        value = super().__getitem__(key)
        self._reads.secret = True
        return value

    def __iter__(self) -> Iterator[str]:
        self._reads.secret = True
        return super().__iter__()


def context_of(context: Mapping[str, Any], declared: Declarations, reads: Reads) -> dict[str, object]:
    """The context with its mappings as `Values`, wherever they are."""
    return {key: _wrapped(value, key, declared, reads) for key, value in declared.completed(context).items()}


def out_of_bounds(context: Mapping[str, Any], declared: Declarations) -> list[str]:
    """Why values of the service are out of bounds; in the scope `server`, the declared values of all services."""
    own = _own_service(context)
    if own is not None:
        return [*_refused(own | {"secrets": context["secrets"]}, "", declared, undeclared=True)]
    return [
        why
        for each in context["services"]
        for why in _refused(each, f"service {each['name'][:_SHOWN]!r}: ", declared, undeclared=False)
    ]


def _own_service(context: Mapping[str, Any]) -> dict[str, Any] | None:
    """The service of a request's context, which names it by its identity; None in the scope `server`."""
    found: Iterator[dict[str, Any]] = (each for each in context["services"] if each["uuid"] == context["service"])
    return next(found, None)


def _refused(owner: Mapping[str, Any], subject: str, declared: Declarations, *, undeclared: bool) -> Iterator[str]:
    parameters = Values(owner["parameters"], "parameters", declared.parameters)
    secrets = Secrets(owner["secrets"], "secrets", declared.secrets, Reads())
    yield from (subject + why for each in (parameters, secrets) for why in each.out_of_bounds(undeclared=undeclared))


def _wrapped(value: object, where: str, declared: Declarations, reads: Reads) -> object:
    if isinstance(value, list):
        return [_wrapped(item, f"{where}[{number}]", declared, reads) for number, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    values = {key: _wrapped(item, f"{where}.{key}", declared, reads) for key, item in value.items()}
    match where.rpartition(".")[2]:
        case "secrets":
            return Secrets(values, where, declared.secrets, reads)
        case "parameters":
            return Values(values, where, declared.parameters)
        case "attributes":
            return EntryAttributes(values, where, {})
        case _:
            return Values(values, where, {})


def _shown(text: str) -> str:
    return f"is {text!r}, which " if len(text) <= _SHOWN else f"is {text[:_SHOWN]!r} and so on, which "
