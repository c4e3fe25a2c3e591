"""`./dev demo` and `./dev docker`: moves on a terminal, and the page docker/README.md carried out for real."""
