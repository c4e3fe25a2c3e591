"""Each name of the schema is written once, in `relocd.model.names`."""

import ast
from pathlib import Path

from relocd.model import names
from relocd.schema.definitions import ATTRIBUTES, CLASSES

SOURCE = Path(names.__file__).parents[1]
DEFINED = {each.name for each in (*ATTRIBUTES, *CLASSES)}


def constants() -> dict[str, str]:
    return {key: value for key, value in vars(names).items() if key.isupper()}


def strings(file: Path) -> set[str]:
    """The values of all string literals of a file."""
    found = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {each.value for each in found if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def test_there_is_one_constant_for_each_attribute_and_class_of_the_schema():
    found = [value for value in constants().values() if value.startswith("reloc")]
    assert sorted(found) == sorted(DEFINED)


def test_the_constant_of_a_class_says_so():
    classes = {value for key, value in constants().items() if key.endswith("_CLASS")}
    assert classes == {each.name for each in CLASSES}


def test_no_other_file_writes_a_name_of_the_schema_or_a_fixed_rdn():
    """In a message, a help text or an access rule a name may stand among other words."""
    written = {value.lower() for value in constants().values()}
    again = {
        f"{file.relative_to(SOURCE)}: {text}"
        for file in SOURCE.rglob("*.py")
        if file != Path(names.__file__)
        for text in strings(file)
        if text.lower() in written or (text.startswith("(reloc") and text.endswith("="))
    }
    assert again == set()
