"""`relocd doctor`: facts are gathered (`*_facts`), judged by pure functions (`*_checks`), and shown (`report`)."""
