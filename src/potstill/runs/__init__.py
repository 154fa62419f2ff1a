"""The format of a run folder, in one place: names, schema, reading, writing. Nothing here needs torch."""
