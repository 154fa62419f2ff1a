"""Where the runs of a table run, one file a way; `potstill.tables.jobs` says what a place is."""
