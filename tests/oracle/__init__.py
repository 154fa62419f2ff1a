"""Reads recorded cases of the original implementations, and says how each is computed here."""
