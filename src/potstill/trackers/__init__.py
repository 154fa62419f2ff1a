"""Trackers, the recorders that ``--log`` names: one file each, which imports its library once a run starts."""
