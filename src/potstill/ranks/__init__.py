"""One run on several processes: ``torchrun --nproc-per-node N -m potstill RECIPE …``.

Every rank holds whole networks and optimiser, and takes its rows of each batch. Nothing is wrapped: after each backward
pass the gradients are summed over the ranks, each weighed by its part of the batch. So terms that start later, turns,
stages, shared weights and losses that differentiate a network need no care, as they would inside of torch's
DistributedDataParallel, and every rank makes the same step. See docs/several-machines.md.

`launch` says whether this process is one of several, `world` how they talk, `team` what they do in a step.
"""
