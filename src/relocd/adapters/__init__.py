"""One outside system a file: each implements a port of `relocd.ports` and translates its errors."""
