"""The names of a run folder's files."""

CONFIG = "config.json"
"""What was asked, of what, and where it ran."""
METRICS = "metrics.jsonl"
"""What was measured, a line an epoch."""
SUMMARY = "summary.json"
"""What came out; a run that has it is finished."""
INSIGHT = "insight.json"
"""How far the networks agree, and where they look."""
TRACKERS = "trackers.json"
"""What trackers call the run, and how much of it they know."""
DETAILS = "details.json"
"""What was answered to the test images in the end: by class, which were taken for which, and how surely."""
TUNED = "tune.json"
"""Of a comparison, not of a run: the settings that were tried."""
CHECKPOINT = "last.ckpt"
"""What a killed run continues from."""
PREVIOUS = "previous.ckpt"
"""The checkpoint before that, from which it continues if that one is damaged."""
MANIFEST = "manifest.json"
"""Size and digest of each file."""
SOURCE = "source"
"""The folder with the user's own code that a run used."""
STATISTICS = "statistics.safetensors"
"""What a stage that trains nothing has found out, alone in its folder."""
WEIGHTS = ".safetensors"
"""How files of weights end."""
FILES = (CONFIG, METRICS, SUMMARY, INSIGHT, DETAILS, TRACKERS, CHECKPOINT, PREVIOUS)
"""The files of a run besides its weights and its source."""
SIGNS = (CONFIG, METRICS, SUMMARY)
"""Any of these makes a folder a run's, broken or not; they are what is worth keeping of it."""


def weights(network: str) -> str:
    """The file of a learner's weights after the last epoch.

    >>> weights("student")
    'student.safetensors'
    """
    return f"{network}{WEIGHTS}"


def best_weights(network: str) -> str:
    """The file of a learner's weights after its best epoch.

    >>> best_weights("student")
    'student-best.safetensors'
    """
    return f"{network}-best{WEIGHTS}"


def weights_of_epoch(network: str, epoch: int) -> str:
    """The file of a learner's weights after an epoch, counted from 0, that is kept.

    >>> weights_of_epoch("student", 9)
    'student-epoch9.safetensors'
    """
    return f"{network}-epoch{epoch}{WEIGHTS}"


def averaged(network: str) -> str:
    """What the average of a learner's weights is called, as a network of its own.

    >>> weights(averaged("student"))
    'student-ema.safetensors'
    """
    return f"{network}-ema"
