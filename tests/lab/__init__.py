"""The laboratory: real hosts, directories and clients for tests, benchmarks, scenarios and the demo.

`hosts` makes servers, `slapd` directories, `probers` clients that measure. `scenarios`, `demo`, `bench` and `faults`
use these, as do tests/adapters, tests/integration and tests/system. Fakes in memory are in tests/support.
"""
