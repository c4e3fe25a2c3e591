"""The checks of this host: `probe` reads facts from its files, `checks` judges them and is pure."""
