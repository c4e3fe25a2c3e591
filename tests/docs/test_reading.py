"""How a page is read: which lines are commands, and when an output has the shape that the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.markdown import blocks, commands
from tests.docs.shape import has_shape

PAGE = """\
# Title

## Move it

```console
node1# cat <<END
# no prompt in here
END
printed
$ one \\
    two   # exit code 3
```
"""


@pytest.fixture
def read(tmp_path: Path):
    (tmp_path / "page.md").write_text(PAGE)
    (block,) = blocks(tmp_path / "page.md")
    return block, commands(block)


def test_commands_have_their_machine_lines_output_and_exit_code(read):
    block, (first, second) = read
    assert (block.section, block.line) == ("Move it", 6)
    assert (first.machine, first.line, first.output) == ("node1", 6, "printed\n")
    assert first.text == "cat <<END\n# no prompt in here\nEND"
    assert second.at_workstation
    assert second.text.splitlines()[0] == "one \\"
    assert (first.exit_code, second.exit_code) == (0, 3)


def test_a_console_block_begins_with_a_command(tmp_path):
    (tmp_path / "page.md").write_text("```console\nprinted by whom?\n```\n")
    (block,) = blocks(tmp_path / "page.md")
    with pytest.raises(ValueError, match="line 2"):
        commands(block)


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("web on node1", "web on node1\n", True),
        ("web on node1", "web on nodeA\n", False),
        ("took 3 ms", "took   12.5 ms\n", True),
        ("took 3 ms", "took a while\n", False),
        ("┏━━━┓\n│ a │", "┏━━━━━━━┓\n│ a     │\n", True),
        ("first\n...\nlast", "first\nlast\n", True),
        ("first\n...\nlast", "first\n1\n2\nlast\n", True),
        ("first\nlast", "first\n1\nlast\n", False),
        ("dn: ...,dc=org", "dn: cn=x,dc=org\n", True),
        ("all", "all\nand more\n", False),
    ],
)
def test_shape(shown, printed, same):
    assert has_shape(shown, printed) is same
