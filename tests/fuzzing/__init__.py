"""Fuzzing: domains of inputs, by name; tests/test_fuzz.py runs a few thousand, tools/fuzz.py as many as one likes."""

from fuzzing.addresses import ADDRESSES
from fuzzing.command_lines import COMMANDS
from fuzzing.domain import Domain
from fuzzing.image_folders import IMAGE_FOLDERS
from fuzzing.parquet_files import PARQUET
from fuzzing.pictures import PICTURES
from fuzzing.run_folders import REPORTS, RUNS
from fuzzing.specs import CONVOLUTIONS, SPECS
from fuzzing.term_texts import TERMS
from fuzzing.weight_files import WEIGHTS

DOMAINS: dict[str, Domain] = {
    "addresses": ADDRESSES,
    "convolutions": CONVOLUTIONS,
    "networks": SPECS,
    "terms": TERMS,
    "weights": WEIGHTS,
    "runs": RUNS,
    "reports": REPORTS,
    "image folders": IMAGE_FOLDERS,
    "parquet": PARQUET,
    "pictures": PICTURES,
    "command lines": COMMANDS,
}
