"""With which code a command ends, and what each means."""

UNREAD, BAD_INPUT, FAILED_TRAINING, FAULT, INTERRUPTED, TERMINATED = 1, 2, 3, 70, 130, 143
CODES = {
    0: "done",
    UNREAD: "nobody reads the output any more",
    BAD_INPUT: "bad input: nothing was trained, or no more than before",
    FAILED_TRAINING: "a run failed while training; its last good checkpoint is kept",
    FAULT: "a fault of potstill's own; the message names a file to report it with",
    INTERRUPTED: "interrupted (SIGINT): the step was finished and saved, and the same command continues",
    TERMINATED: "terminated (SIGTERM): likewise",
}
