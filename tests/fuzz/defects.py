"""What the code under test catches of its own defects is a fault of a case all the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["no_defects"]


@contextmanager
def no_defects() -> Iterator[None]:
    """Keep the log of relocd quiet in the block; the first defect that it named is raised at the end."""
    seen, log = _Seen(), logging.getLogger("relocd")
    log.addHandler(seen)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(seen)
        log.propagate = True
    if seen.first is not None:
        raise seen.first


class _Seen(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.first: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first error that was logged with its traceback."""
        if self.first is None and record.exc_info is not None:
            self.first = record.exc_info[1]
