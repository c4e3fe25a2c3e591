"""The first process of a machine of the laboratory: it says that the machine is up, and buries orphans."""

from __future__ import annotations

import os
import signal

__all__ = ["main"]


def main() -> None:
    """Reap children until this process is killed, and with it everything in its PID namespace."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    print("up", flush=True)
    while True:
        signal.sigwait({signal.SIGCHLD})
        _bury()


def _bury() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    main()
