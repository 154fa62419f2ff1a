"""The card of a published network: what it was taught, by whom, on what, how well, and how it is loaded."""

import re
from collections.abc import Iterator

from potstill.data.files.names import listed
from potstill.hub import library
from potstill.pushing.forms import Form
from potstill.pushing.published import Published, shown_data, shown_spec
from potstill.runs.headline import ACCURACY, called, describe, headline, of_teacher
from potstill.runs.schema import DataSet, Reached
from potstill.text import in_markdown, printable

TAGS = ["image-classification", "knowledge-distillation", "potstill"]
FOLDERS = r"[^\s;]*/(?=[^/\s]+\.py:)"
"""What stands before the file of a loss of the user's own."""
USUAL = ("optimizer", "lr", "batch_size", "weight_decay", "schedule", "epochs", "seed", "precision", "terms", "conv")
"""Arguments that have a row, where the run has them."""


def card(about: Published, form: Form, repository: str) -> str:
    """The text of ``README.md``: the Hub's own entries in YAML, then Markdown.

    Args:
        about: the network.
        form: how it is loaded.
        repository: where it will be, ``ORG/NAME``.
    """
    rows = "\n".join(f"| {name} | {in_markdown(value)} |" for name, value in _rows(about))
    name = repository.rpartition("/")[2]
    return f"""---
{_entries(about, form, repository)}
---

# {name}

{_sentence(about)}

| | |
|---|---|
{rows}

## Use

```python
{form.usage(repository)}
```

Images have {about.shape[0]} channels of values in 0..1, {about.size[0]} pixels high and {about.size[1]} wide, less the
mean {_numbers(about.mean)}, divided by {_numbers(about.std)}.
"""


def _entries(about: Published, form: Form, repository: str) -> str:
    """What the Hub reads of a card, written by its own library."""
    client, data = library("huggingface_hub", "hf"), shown_data(about.summary["data"])
    kind = data.removeprefix("hf-data:").partition("@")[0]
    results = [
        client.EvalResult(
            task_type="image-classification",
            dataset_type=kind if data.startswith("hf-data:") else "other",
            dataset_name=printable(data),
            metric_type=_metric(found[0]),
            metric_name=f"{called(found[0])}, {words}",
            metric_value=found[1],
        )
        for words, reached in _reached(about).items()
        if (found := headline(reached["test"])) is not None
    ]
    entries = client.ModelCardData(
        library_name=form.library,
        pipeline_tag=TAGS[0],
        tags=TAGS,
        metrics=list(dict.fromkeys(result.metric_type for result in results)) or ["accuracy"],
        model_name=repository.rpartition("/")[2],
        eval_results=results,
        **({"datasets": [kind]} if data.startswith("hf-data:") else {}),
    )
    return str(entries.to_yaml()).strip()


def _metric(name: str) -> str:
    """What the Hub calls a number that was measured."""
    return "accuracy" if name == ACCURACY else name


def _reached(about: Published) -> dict[str, Reached]:
    learner = about.summary["learners"][about.chosen.name]
    return {"last epoch": learner["last"], "best epoch": learner["best"]}


def _sentence(about: Published) -> str:
    """What was done, in a sentence."""
    chosen, teachers = about.chosen, about.summary["teachers"]
    specs = {name: shown_spec(network) for name, network in chosen.config["networks"].items()}
    taught = [spec for name, spec in specs.items() if name in teachers]
    peers = [spec for name, spec in specs.items() if name not in (chosen.name, *teachers)]
    words = [
        f"{specs[chosen.name]} for {len(about.classes)} classes",
        f"trained on {shown_data(about.summary['data'])}",
        *([f"distilled from {' and '.join(taught)}"] if taught else []),
        *([f"beside {' and '.join(peers)}"] if peers else []),
    ]
    return f"{in_markdown(', '.join(words))}, by Potstill's recipe {in_markdown(chosen.config['recipe'])}."


def _rows(about: Published) -> Iterator[tuple[str, str]]:
    """What a run says of itself, in rows."""
    chosen, summary = about.chosen, about.summary
    config, learner = chosen.config, summary["learners"][chosen.name]
    data: DataSet = config.get("data") or {"name": summary["data"]}
    yield "weights", f"{chosen.epoch} ({_reached(about)[chosen.epoch]['epoch']})"
    for words, reached in _reached(about).items():
        yield f"{words}, test images", f"{describe(reached['test'])} (epoch {reached['epoch']})"
    yield "the best epoch was chosen on", f"the {summary['best_chosen_on']} images"
    for name, teacher in summary["teachers"].items():
        yield name, f"{shown_spec(config['networks'][name])}, {describe(of_teacher(teacher))}"
    counts = ", ".join(f"{count} {split}" for split, count in (data.get("images") or {}).items())
    yield "data", f"{shown_data(summary['data'])}: {counts} images"
    yield "classes", listed(about.classes)
    if digest := data.get("digest"):
        yield "digest of the data", digest
    for cost, words in {"parameters": "parameters", "macs": "multiply-adds an image"}.items():
        if (count := learner.get(cost)) is not None:
            yield words, f"{count:,}"
    for name in USUAL:
        if (value := config["arguments"].get(name)) is not None:
            text = "; ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield name.replace("_", " "), re.sub(FOLDERS, "", text)
    yield "trained in", f"{summary['seconds']:,.0f} seconds on {config['device']}"
    yield "versions", ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    if commit := config.get("commit"):
        yield "commit of Potstill", commit


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
