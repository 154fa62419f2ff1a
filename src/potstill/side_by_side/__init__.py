"""Several runs in one process, step by step in turn: what their teachers answer is computed once for all of them."""
