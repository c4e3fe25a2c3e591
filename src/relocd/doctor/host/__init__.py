"""The checks of this host: `probe` reads facts from its files, `checks` and `network` judge them and are pure."""
