import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import potstill as ps
from potstill.engine.checkpoint import fingerprint
from potstill.engine.epoch import train_epoch
from potstill.engine.optimizer import make_optimizer
from potstill.engine.progress import Progress
from potstill.errors import BadInput
from potstill.recipes import mutual
from potstill.training import Training

SHORT = Training(data="digits", epochs=1, batch_size=300, lr=0.05)
SPECS = ("wrn-10-1", "resnet8")
OPTIONS = {"lr": SHORT.lr, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}


def caught_distiller(monkeypatch, networks=SPECS, training=SHORT, **arguments):
    caught = []
    monkeypatch.setattr(ps, "fit", lambda distiller, *rest: caught.append(distiller) or {}, raising=False)
    mutual(networks=networks, training=training, **arguments)
    monkeypatch.undo()
    return caught[0]


def kl(ours, theirs):
    return F.kl_div(F.log_softmax(ours, 1), F.log_softmax(theirs.detach(), 1), reduction="batchmean", log_target=True)


def an_epoch(distiller, training):
    """Train in float64; the batches, and what was measured."""
    distiller.double()
    batches = DoubleBatches(training.load_data().train)
    optimizer = make_optimizer(distiller, training)
    for group in optimizer.param_groups:
        group["lr"] = group["lr"].double().fill_(training.lr)
    with Progress(1, len(batches), 0) as progress:
        return batches, train_epoch(distiller, batches, optimizer, 0, training, progress)


@pytest.mark.parametrize("alternate", [False, True])
def test_an_epoch_equals_a_loop_with_two_optimisers(alternate, monkeypatch):
    """Simultaneous as in the Zoo, alternating as in the paper: its networks' weights agree to 1e-6 in float64."""
    distiller = caught_distiller(monkeypatch, alternate=alternate, weight=0.7)
    a, b = (ps.networks.create(spec, seed=seed).double() for spec, seed in zip(SPECS, (0, 1000), strict=True))
    assert [fingerprint(network.double()) for network in distiller.networks.values()] == [
        fingerprint(a),
        fingerprint(b),
    ]
    batches, measured = an_epoch(distiller, SHORT)
    one, two = (torch.optim.SGD(network.parameters(), **OPTIONS) for network in (a, b))
    for batch in batches:
        images, labels = batch["images"], batch["labels"]
        ours, theirs = a(images), b(images)
        one.zero_grad()
        (F.cross_entropy(ours, labels) + 0.7 * kl(ours, theirs)).backward()
        if not alternate:
            two.zero_grad()
            (F.cross_entropy(theirs, labels) + 0.7 * kl(theirs, ours)).backward()
        one.step()
        if alternate:
            two.zero_grad()
            (F.cross_entropy(theirs, labels) + 0.7 * kl(theirs, a(images))).backward()
        two.step()
    for network, peer in ((a, "a"), (b, "b")):
        for key, value in network.named_parameters():
            torch.testing.assert_close(distiller.networks[peer].get_parameter(key), value, rtol=1e-6, atol=1e-9)
    assert list(measured["terms"]) == ["CE a", "KD a from b", "CE b", "KD b from a"]


@pytest.mark.parametrize("alternate", [False, True])
def test_three_that_learn_by_kdcl_equal_a_loop(alternate, monkeypatch):
    """Each from the labels, and from the least logit of all three in each class, less that of the label."""
    specs, training = ("resnet8", "wrn-10-1", "resnet8"), replace(SHORT, images=200, batch_size=50)
    asked = {"terms": ("CE", "0.8 * KDCL(temperature=3)"), "alternate": alternate}
    distiller = caught_distiller(monkeypatch, specs, training, **asked)
    networks = [ps.networks.create(spec, seed=1000 * i).double() for i, spec in enumerate(specs)]
    batches, measured = an_epoch(distiller, training)
    optimizers = [torch.optim.SGD(network.parameters(), **OPTIONS) for network in networks]
    for batch in batches:
        images, labels = batch["images"], batch["labels"]
        for turn in range(3) if alternate else [None]:
            logits = [network(images) for network in networks]
            shifted = [z - z[torch.arange(len(z)), labels][:, None] for z in logits]
            target = (torch.minimum(torch.minimum(shifted[0], shifted[1]), shifted[2]).detach() / 3).softmax(1)
            for i in range(3) if turn is None else [turn]:
                optimizers[i].zero_grad()
                ours = (logits[i] / 3).log_softmax(1)
                divergence = (target * (target.log() - ours)).sum(1).mean()
                (F.cross_entropy(logits[i], labels) + 0.8 * 9 * divergence).backward()
                optimizers[i].step()
    for network, peer in zip(networks, "abc", strict=True):
        for key, value in network.named_parameters():
            torch.testing.assert_close(distiller.networks[peer].get_parameter(key), value, rtol=1e-6, atol=1e-9)
    assert list(measured["terms"]) == ["CE a", "KDCL a", "CE b", "KDCL b", "CE c", "KDCL c"]


def test_terms_are_of_each_with_every_other_one(monkeypatch):
    terms = ("0.5 * CE", "0.6 * KD(temperature=2)", "3 * SP on layer3")
    distiller = caught_distiller(monkeypatch, ("resnet8",) * 3, terms=terms)
    found = {term.name: (term.addresses, term.weight) for term in distiller.terms}
    assert len(found) == 3 * (1 + 2 + 2)
    assert found["CE b"] == (("b", "labels"), 0.5)
    assert found["KD b from c"] == (("b", "c"), pytest.approx(0.3))
    assert found["SP c.layer3 from a"] == (("c.layer3", "a.layer3"), pytest.approx(1.5))
    assert len({id(term.loss) for term in distiller.terms}) == len(found)


class DoubleBatches:
    def __init__(self, loader):
        self.loader = loader

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        return ({**batch, "images": batch["images"].double()} for batch in self.loader)

    def set_epoch(self, epoch):
        self.loader.set_epoch(epoch)


def test_alternating_is_another_training(tmp_path):
    prints = {}
    for alternate in (False, True):
        out = tmp_path / f"{alternate}"
        mutual(networks=SPECS, alternate=alternate, training=replace(SHORT, out=out))
        prints[alternate] = fingerprint(ps.networks.create(f"{out}:b"))
        (record,) = (json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines())
        assert sorted(record["terms"]) == ["CE a", "CE b", "KD a from b", "KD b from a"]  # of all turns
    assert len(set(prints.values())) == 2


def test_three_peers_share_the_weight_and_are_saved_alone(tmp_path):
    out = tmp_path / "run"
    summary = mutual(networks=("wrn-10-1",) * 3, weight=1.0, training=replace(SHORT, out=out))
    (record,) = (json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines())
    pairs = {f"KD {x} from {y}": 0.5 for x in "abc" for y in "abc" if x != y}
    assert record["weights"] == {"CE a": 1, "CE b": 1, "CE c": 1, **pairs}
    data = SHORT.load_data()
    for peer in "abc":
        network = ps.networks.create(f"{out}:{peer}")
        assert ps.evaluate(network, data.test) == summary["learners"][peer]["last"]["test"]
    assert len({fingerprint(ps.networks.create(f"{out}:{peer}")) for peer in "abc"}) == 3


def test_the_first_peer_starts_as_the_baseline_does_and_no_two_start_alike(monkeypatch):
    distiller = caught_distiller(monkeypatch)
    assert fingerprint(distiller.networks["a"]) == fingerprint(ps.networks.create(SPECS[0], seed=SHORT.seed))
    assert fingerprint(distiller.networks["b"]) != fingerprint(ps.networks.create(SPECS[1], seed=SHORT.seed))


@pytest.mark.parametrize("usual", [{"weight": 0.5}, {"temperature": 2.0}])
def test_what_the_usual_terms_take_is_not_passed_over_with_others(usual):
    with pytest.raises(BadInput, match="with --terms, write them there"):
        mutual(networks=SPECS, terms=("CE", "KD"), training=SHORT, **usual)


def test_one_network_has_no_peer():
    with pytest.raises(BadInput, match="two networks or more to learn from each other, not 1"):
        mutual(networks=("resnet8",), training=SHORT)
