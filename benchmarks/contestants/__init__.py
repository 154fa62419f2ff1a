"""Whoever trains the same student with the same teacher on the same images, to be timed side by side."""
