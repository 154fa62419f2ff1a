"""What else than torch, operation by operation, computes the forward passes of frozen teachers."""
