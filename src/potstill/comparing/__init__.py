"""What ``potstill compare`` does before its table runs: methods by name, whether they can be trained, what they cost.

Two of the six concepts and nothing new: a method is a recipe with terms, a comparison is a table made on the fly.
"""
