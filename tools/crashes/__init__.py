"""Crash tests: what is run, how it is hurt, and what it must be afterwards."""
