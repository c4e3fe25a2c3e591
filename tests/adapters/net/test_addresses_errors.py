"""Every error of netlink as one of ours, with what to do."""

from __future__ import annotations

import errno
import inspect

import pytest
from pyroute2.netlink import exceptions as library

from relocd.adapters.net.rtnetlink import translated
from relocd.errors import Failed, RelocdError, Unavailable

LIBRARY = [kind for _, kind in inspect.getmembers(library, inspect.isclass) if issubclass(kind, Exception)]
# Raised by its socket statistics and by a socket for tests of its own, neither of which is used here.
NOT_USED = {library.SkipInode, library.ChaoticException}


def made(kind: type[Exception]) -> Exception:
    if issubclass(kind, library.NetlinkDumpInterrupted):
        return kind()
    return kind(ValueError("short")) if issubclass(kind, library.NetlinkDecodeError) else kind(errno.EPERM)


@pytest.mark.parametrize("kind", [kind for kind in LIBRARY if kind not in NOT_USED], ids=lambda kind: kind.__name__)
def test_every_error_of_the_library_is_translated(kind):
    error = made(kind)
    with pytest.raises(RelocdError, match=r"^raise it: ") as caught, translated("raise it"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("code", sorted(errno.errorcode), ids=errno.errorcode.get)
def test_every_error_of_the_kernel_is_translated(code):
    for error in (OSError(code, "text"), library.NetlinkError(code)):
        with pytest.raises(RelocdError, match=r"^raise it: ") as caught, translated("raise it"):
            raise error
        assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (library.NetlinkError(errno.EPERM), Failed, "CAP_NET_ADMIN"),
        (library.NetlinkError(errno.EBUSY), Unavailable, "try again"),
        (OSError(errno.ENOBUFS, "No buffer space available"), Unavailable, "try again"),
        (library.NetlinkDumpInterrupted(), Unavailable, "read it again"),
        (TimeoutError(), Unavailable, "not acknowledged it in time"),
        (OSError("without a number"), Failed, "without a number"),
    ],
    ids=lambda value: repr(value) if isinstance(value, Exception) else "",
)
def test_what_to_do_about_an_error(error, kind, message):
    with pytest.raises(kind, match=message), translated("raise it"):
        raise error
