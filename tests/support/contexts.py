"""The context of templates from a few plain values, and one template rendered with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from relocd.errors import Invalid
from relocd.model.template_set import FileSpec, TemplateSet
from relocd.ports.host import Rendered, Renderer
from relocd.reconcile.spec import PlannedFile
from relocd.reconcile.template_context import TemplateContext

__all__ = ["rendered", "template_context"]

_SERVER: Mapping[str, Any] = {"name": "node1", "dn": "cn=node1", "uuid": "node1", "fenced": False, "attributes": {}}
_SERVICE: Mapping[str, Any] = {
    "name": "web",
    "dn": "cn=web",
    "uuid": "",
    "addresses": [],
    "interface": None,
    "exclusive": True,
    "parameters": {},
    "attributes": {},
    "role": "active",
}


def template_context(**values: Any) -> TemplateContext:
    """The context with these values; what a server or a service lacks is added, `service` comes last in `services`.

    `parameters` are the service's; with `service=None` there are none, as in the scope `server`.
    """
    own = values.pop("service", {})
    parameters = values.pop("parameters", {})
    service = None if own is None else {**_SERVICE, "parameters": parameters, **own, "uuid": "own"}
    services = [{**_SERVICE, "uuid": str(number), **each} for number, each in enumerate(values.pop("services", ()))]
    found = {
        "role": "active",
        **values,
        "server": {**_SERVER, **values.get("server", {})},
        "peers": [{**_SERVER, **each} for each in values.get("peers", ())],
        "service": service,
        "services": services if service is None else [*services, service],
    }
    return msgspec.convert(found, TemplateContext)


async def rendered(renderer: Renderer, template_set: TemplateSet, source: str, context: TemplateContext) -> Rendered:
    """One template of a set; raises what is wrong with it."""
    (found,) = await renderer.render([PlannedFile(template_set, FileSpec(source, "/etc/any"))], context)
    if isinstance(found, Invalid):
        raise found
    return found
