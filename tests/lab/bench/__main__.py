"""The command line of `./dev bench`."""

from __future__ import annotations

import argparse
import sys

from tests.lab.bench import mass, move, scale, takeover

__all__ = ["main"]


def main() -> int:
    """Run the benchmark that was asked for and return its exit code."""
    chosen = _arguments().parse_args()
    code: int = chosen.run(chosen)
    return code


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev bench", description="measure the agent")
    kinds = parser.add_subparsers(required=True, metavar="scale|move|takeover|mass")
    for name, module, about in (
        ("move", move, "a planned move by hand, by relocd and by keepalived"),
        ("takeover", takeover, "a holder that is off, cut off or hung, and its successor"),
        ("scale", scale, "one agent before a large directory"),
        ("mass", mass, "many services of one server, started, moved and taken over at once"),
    ):
        kind = kinds.add_parser(name, help=about)
        module.add_arguments(kind)
        kind.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
