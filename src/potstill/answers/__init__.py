"""A frozen teacher's answers, kept: exact, by image and view, shared by every run with the same teacher."""
