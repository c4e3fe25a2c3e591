"""The files that come with relocd are found from wherever it runs."""

from __future__ import annotations

from relocd.schema.definitions import FORMS
from relocd.shipped import shipped_schema, shipped_template_sets


def test_the_template_sets():
    assert (shipped_template_sets() / "nginx" / "manifest.toml").is_file()


def test_the_schema_in_every_form():
    assert {path.suffix.removeprefix(".") for path in shipped_schema().glob("relocd.*")} >= set(FORMS)
