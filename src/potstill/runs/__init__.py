"""Runs: what a run was asked, what it measured, and the folder that it lies in. Nothing here imports torch."""
