"""The process that renders templates: `python -I -m relocd.adapters.templates.render_worker`, started by `renderer`.

It is a process of its own so that an endless loop, a template that uses up memory, a regular expression that takes for
ever, or the interpreter's lock never stop the agent. It imports Jinja2 and the standard library only, opens nothing
but templates, and trusts neither them nor the context: the sandbox keeps templates from Python's internals, limits of
the kernel keep them from the system, and every value is bounded before a template sees it (`render_values`).

A message is a JSON object after its length in four bytes, big endian. The worker sends an empty object once it is
ready. A request (`render_process.Request`) has one context and several templates; each template is answered, in order,
by `text` and `secret`, or by `error`. End of input ends the worker.

No error contains a secret: once a template has read one, only the kind of the error and its line are reported.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from relocd.adapters.templates.render_values import (
    Declarations,
    OutOfBoundsError,
    Reads,
    Values,
    context_of,
    out_of_bounds,
)

MEMORY_LIMIT: Final = 256 * 1024 * 1024
"""Bytes of address space; an idle worker has about a tenth of it."""

_LENGTH: Final = struct.Struct(">I")
_OPEN_FILES: Final = 32
_METHODS: Final = frozenset({"get", "items", "keys", "values"})


class RefusedError(TemplateError):
    """A template refused its input on purpose, by `must_match` or `fail`."""


class Undefined(StrictUndefined):
    """An undefined value; its message names the value as the template does."""

    @property
    def _undefined_message(self) -> str:
        if isinstance(self._undefined_obj, Values):
            return f"{self._undefined_obj.where}.{self._undefined_name} is undefined"
        return super()._undefined_message


class Templates(FileSystemLoader):
    """The files of a set that the agent has checked; it ignores hidden ones and those ending in `~`."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """The text of a template, its path, and a function that returns whether the file is unchanged."""
        if any(part.startswith(".") or part.endswith("~") for part in template.split("/")):
            raise TemplateNotFound(template)
        return super().get_source(environment, template)


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of one state of one folder; rendering depends on nothing but templates and context.

    `texts` are the compiled texts of the manifest.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(
            loader=Templates(folder),
            undefined=Undefined,
            autoescape=False,  # configuration files, not HTML
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self.texts: dict[str, Template] = {}
        del self.globals["lipsum"], self.filters["random"]
        self.globals["fail"] = _fail
        self.filters["must_match"] = _must_match
        self.policies["json.dumps_kwargs"] = {"sort_keys": True, "default": dict}

    def text(self, text: str) -> Template:
        """A text of the manifest, compiled once."""
        if text not in self.texts:
            self.texts[text] = self.from_string(text)
        return self.texts[text]

    def getattr(self, obj: object, attribute: str) -> object:
        """`parameters.items` is the parameter of that name where there is one, and else the method."""
        if not isinstance(obj, Values):
            return super().getattr(obj, attribute)
        if attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute) if attribute in _METHODS else self.undefined(obj=obj, name=attribute)


def _fail(message: object) -> NoReturn:
    raise RefusedError(str(message))


def _must_match(value: object, pattern: str, name: str = "the value") -> object:
    """The value, when the whole of it matches; raises `RefusedError` otherwise."""
    if not re.fullmatch(pattern, str(value)):
        raise RefusedError(f"{name} is {str(value)!r}, which does not match {pattern}")
    return value


class RenderWorker:
    """Renders requests; keeps the compiled templates of the latest state of each folder."""

    def __init__(self) -> None:
        self._environments: dict[str, tuple[str, Sandbox]] = {}

    def answer(self, template: Mapping[str, Any], context: Mapping[str, Any]) -> bytes:
        """The message to send for a template of a request; never raises for what a template does."""
        reads = Reads()
        folder, source = template["folder"], template["source"]
        try:
            environment = self._environment(folder, template["digest"])
            text = template.get("text")
            compiled = environment.get_template(source) if text is None else environment.text(text)
            declared = Declarations.of(template)
            refused = out_of_bounds(context, declared)
            if refused:
                return _message({"error": "; ".join(refused)})
            values = context_of(context, declared, reads)
            if template.get("address") is not None:
                values["address"] = Values(template["address"], "address", {})
            return _message({"text": compiled.render(values), "secret": reads.secret})
        except Exception as error:  # noqa: BLE001 - a template can raise anything; the answer names it
            error_text = _error_text(error, Path(folder), source, secret=reads.secret)
            return _message({"error": error_text if template.get("text") is None else f"{source}: {error_text}"})

    def _environment(self, folder: str, digest: str) -> Sandbox:
        known, environment = self._environments.get(folder, ("", None))
        if environment is None or known != digest:
            environment = Sandbox(folder)
            self._environments[folder] = (digest, environment)
        return environment


def syntax_error(folder: str, source: str, text: str | None = None) -> str | None:
    """What is wrong with the syntax of a template, or of a text of the manifest; None when nothing is."""
    try:
        Sandbox(folder).get_template(source) if text is None else Sandbox(folder).text(text)
    except Exception as error:  # noqa: BLE001 - a template can raise anything, the compiler's errors too
        return _error_text(error, Path(folder), source, secret=False)
    return None


def _error_text(error: Exception, folder: Path, source: str, *, secret: bool) -> str:
    """The place and kind of an error, with its message where that has no secret in it."""
    if isinstance(error, SyntaxError | RecursionError):  # in the Python code that the template was compiled to
        return f"{_place(error, folder) or source + ': '}has blocks, calls or brackets nested too deeply; nest fewer"
    text = type(error).__name__
    if isinstance(error, TemplateNotFound) and not secret:
        text = "there is no template " + " or ".join(map(repr, error.templates))
    elif isinstance(error, TemplateError) and not secret:
        text = str(error.message)
    elif isinstance(error, OutOfBoundsError):
        text = str(error)
    return f"{_place(error, folder)}{text}"


def _place(error: Exception, folder: Path) -> str:
    """The template and line of an error: the innermost frame of its traceback that is a template's."""
    if isinstance(error, TemplateSyntaxError) and error.name:
        return f"{error.name} line {error.lineno}: "
    place = ""
    trace = error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(folder):
            place = f"{path.relative_to(folder)} line {trace.tb_lineno}: "
        trace = trace.tb_next
    return place


def _limit_process() -> None:
    """Limit memory and open files; forbid to write files, and a core dump, which could have secrets in it."""
    limits = {
        resource.RLIMIT_AS: MEMORY_LIMIT,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))


def _receive(stream: BinaryIO) -> bytes | None:
    """Wait for the next message; None at the end of input."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    return stream.read(_LENGTH.unpack(head)[0])


def _message(values: Mapping[str, object]) -> bytes:
    body = json.dumps(values).encode()
    return _LENGTH.pack(len(body)) + body


def _send(stream: BinaryIO, message: bytes) -> None:
    stream.write(message)
    stream.flush()


def main() -> None:
    """Serve until the input ends, or until a template takes more processor time than the request allows (SIGPROF)."""
    _limit_process()
    worker = RenderWorker()
    _send(sys.stdout.buffer, _message({}))
    while (body := _receive(sys.stdin.buffer)) is not None:
        request = json.loads(body)
        for template in request["templates"]:
            signal.setitimer(signal.ITIMER_PROF, request["limit_s"])
            answer = worker.answer(template, request["context"])
            signal.setitimer(signal.ITIMER_PROF, 0)
            _send(sys.stdout.buffer, answer)


if __name__ == "__main__":
    main()
