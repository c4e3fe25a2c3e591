"""`./dev bench`: moves and takeovers beside other programs, and an agent with a large directory, as tables."""
