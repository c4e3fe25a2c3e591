"""Fuzzers: odd inputs in great number, for each kind of input that relocd reads.

A fuzzer is a module of this folder with `NAME` and `case(random)`, which makes one input from `random`, gives it to the
real code and raises on a fault. `CASES` is how many of them `./dev test` runs, for about a minute in all. What a case
does follows from its seed alone. `frame` runs them, `__main__` is `./dev fuzz`.
"""
