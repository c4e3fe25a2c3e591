"""The errors of relocd, split by what the caller does about them.

Every message names the entry, file or key that is wrong and says what to do. No message holds a secret: what a program
said, which may hold one, is kept apart from it in `words`, and `relocd.model.masking.told` shows it.
"""

from __future__ import annotations

from relocd.printable import one_line

__all__ = ["Busy", "Failed", "Fatal", "Invalid", "RelocdError", "Unavailable"]


class RelocdError(Exception):
    """Root of all errors that relocd raises on purpose; as text one printable line, whatever foreign text is in it.

    `words` is the raw output of a program that failed.
    """

    def __init__(self, message: str = "", words: str = "") -> None:
        super().__init__(message)
        self.words = words

    def __str__(self) -> str:
        return one_line(super().__str__())


class Unavailable(RelocdError):
    """An outside system does not answer now: keep what is, try again."""


class Invalid(RelocdError):
    """An input is wrong and stays wrong until somebody changes it: report it, leave the last good state."""


class Failed(RelocdError):
    """An outside system answered and refused or failed: report it, try again with backoff."""


class Busy(Failed):
    """Another host still has what this one is about to take: wait for it, asking again soon."""


class Fatal(RelocdError):
    """The agent cannot work at all, for example without a valid configuration: say so and exit."""
