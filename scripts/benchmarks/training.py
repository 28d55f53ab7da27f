"""One adversarial step: ours against the straightforward implementation, and where the time goes."""

import copy
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import torch

from benchmarks.plain import PlainAutoencoder, PlainNetwork
from benchmarks.timing import Contender, Measured, ratio, synchronize, take_turns
from textae.allocator import keep_freed_memory
from textae.models.autoencoder import TextAutoencoder
from textae.models.saving import SHIPPED_FOLDER
from textae.settings import config_from_dict
from textae.training.metrics import close_log
from textae.training.text_code import TextTraining

# So many steps are one round: one alone is at the mercy of its documents' lengths.
STEPS = 2
# Steps before two implementations' losses are compared would change the weights.
UNMOVED = 1e-9


def shipped_recipe(documents: int = 64, samples: int = 4, **sections: Any) -> dict[str, Any]:
    """The shipped model's sizes and lengths, the embedded corpus, rewards as they are by default.

    Learning rates are so small that all contenders go on with the same model, whose summaries are as
    long as those of a model that has learned.
    """
    config = TextAutoencoder.from_pretrained().config
    rates = ("learning_rate", "reconstructor_learning_rate", "discriminator_learning_rate")
    recipe: dict[str, Any] = {
        "data": {
            "documents": ["newswire:4000"],
            "human": ["newswire:4000"],
            "max_document_tokens": config.max_document_tokens,
            "max_human_tokens": config.max_human_tokens,
            "normalization": vars(config.normalization),
        },
        "tokenizer": {"path": str(SHIPPED_FOLDER)},
        "encoder": vars(config.encoder),
        "reconstructor": vars(config.reconstructor),
        "discriminator": vars(config.discriminator),
        "length": vars(config.length),
        "warmup": {"steps": 0},
        "adversarial": {
            "steps": 10**6,
            "documents_per_batch": documents,
            "samples": samples,
            "discriminator_first_steps": 0,
            **dict.fromkeys(rates, UNMOVED),
        },
        "run": {"trackers": [], "log_every": 10**6},
    }
    return {name: {**values, **sections.get(name, {})} for name, values in recipe.items()}


def prepared(recipe: dict[str, Any], pretrained: bool = True) -> TextTraining:
    """A run of that recipe before its first adversarial step.

    Args:
        recipe: settings.
        pretrained: start from the shipped model's weights, whose sizes the recipe must have.
    """
    recipe = copy.deepcopy(recipe)
    folder = Path(tempfile.mkdtemp(prefix="textae-benchmark-"))
    recipe["run"]["output"] = str(folder / "run")
    training = TextTraining(config_from_dict(recipe), None, None)
    training.metrics.bar.disable = True
    # Nobody reads the run's log, and whoever asked has one of their own.
    close_log()
    if pretrained:
        training.model.load_state_dict(TextAutoencoder.from_pretrained().state_dict())
    training.before_step()
    # What it has written, the model before the first step, nobody reads.
    shutil.rmtree(folder)
    return training


def our_step(
    recipe: dict[str, Any], pretrained: bool = True, keep: bool = True, fused: bool = True
) -> Callable[[], dict[str, float]]:
    """What ``textae train`` does, step for step.

    Args:
        recipe: settings.
        pretrained: see :func:`prepared`.
        keep: keep freed memory, as it does.
        fused: AdamW in one pass over the parameters, as it is.
    """
    if keep:
        keep_freed_memory()
    training = prepared(recipe, pretrained)
    for group in training.optimizer.param_groups:
        group["fused"] = fused

    def work() -> dict[str, float]:
        return {name: value for _ in range(STEPS) for name, value in training.train_step()[1].items()}

    return work


def plain_step(recipe: dict[str, Any], keep: bool = False) -> Callable[[], dict[str, float]]:
    """The same documents, rewards and losses, on the networks of ``plain.py``."""
    if keep:
        keep_freed_memory()
    training = prepared(recipe)
    plain = make_plain(training)
    limit = training.config.optimizer.maximum_gradient_norm
    optimizer = torch.optim.AdamW(plain.parameters(), lr=UNMOVED)

    def work() -> dict[str, float]:
        metrics: dict[str, float] = {}
        for _ in range(STEPS):
            plain.train()
            _, loss, metrics, _ = training.losses(training.next_batch()[0], None)
            optimizer.zero_grad()
            loss.backward()
            for part in (plain.encoder, plain.reconstructor, plain.discriminator):
                torch.nn.utils.clip_grad_norm_(part.parameters(), limit)
            optimizer.step()
            training.step += 1
        return metrics

    return work


def make_plain(training: TextTraining) -> PlainAutoencoder:
    """Put plain networks in place of a prepared run's, with the same weights, and return them."""
    assert training.estimator is not None
    plain = PlainAutoencoder(training.model)
    training.estimator.reference = PlainNetwork(training.estimator.reference).eval()  # type: ignore[assignment]
    training.module = plain
    training.model = plain  # type: ignore[assignment]
    return plain


def compare_losses(recipe: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Losses of both implementations on the same documents and the same samples, which ours has drawn.

    Raises:
        RuntimeError: if they differ by more than rounding does.
    """
    ours, theirs = prepared(recipe), prepared(recipe)
    for training in (ours, theirs):
        # Dropout is chance of another kind: it would make them differ.
        training.model.discriminator.dropout.p = 0.0
    plain = make_plain(theirs)
    plain.discriminator.dropout.p = 0.0
    plain.encoder.rollout = ours.model.encoder.rollout  # type: ignore[method-assign]
    metrics = [training.losses(training.next_batch()[0], None)[2] for training in (ours, theirs)]
    compared = {
        name: {"textae": metrics[0][name], "plain": metrics[1][name]}
        for name in metrics[0]
        if name.startswith(("loss/", "reward/", "policy/"))
    }
    for name, pair in compared.items():
        if abs(pair["textae"] - pair["plain"]) > 1e-3 * max(1.0, abs(pair["plain"])):
            raise RuntimeError(f"{name} differs: {pair['textae']} and {pair['plain']} of the same samples")
    return compared


def our_rollout(recipe: dict[str, Any]) -> Callable[[], int]:
    """Sampling alone, as a step does it."""
    keep_freed_memory()
    training = prepared(recipe)
    return _rollout(training, training.model.encoder.rollout)


def plain_rollout(recipe: dict[str, Any]) -> Callable[[], int]:
    """Sampling alone, by ``generate``."""
    training = prepared(recipe)
    return _rollout(training, make_plain(training).encoder.rollout)


def _rollout(training: TextTraining, sample: Callable[..., Any]) -> Callable[[], int]:
    sources, hints, uniforms, _ = _request(training)
    training.model.eval()
    return lambda: int(sample(sources, hints, uniforms).mask.sum())


def our_reconstructor(recipe: dict[str, Any]) -> Callable[[], float]:
    """The reconstructor's forward and backward pass alone."""
    keep_freed_memory()
    training = prepared(recipe)
    return _reconstruct(training, training.model.reconstructor)


def plain_reconstructor(recipe: dict[str, Any]) -> Callable[[], float]:
    """The same over the whole vocabulary at every position."""
    training = prepared(recipe)
    return _reconstruct(training, PlainNetwork(training.model.reconstructor))


def _reconstruct(training: TextTraining, network: Any) -> Callable[[], float]:
    sources, hints, uniforms, targets = _request(training)
    vocabulary = training.vocabulary
    written = training.model.encoder.rollout(sources, hints, uniforms)
    ended = [row[:-1] if row[-1] == vocabulary.end else row for row in written.rows()]
    from textae.models.decoding import pad_texts

    summaries = pad_texts(ended, vocabulary, training.model.device)
    documents = targets.repeat(len(hints) // len(targets.ids))

    def work() -> float:
        network.zero_grad()
        loss = -network.document_log_probabilities(summaries, documents).sum() / documents.mask.sum()
        loss.backward()
        return loss.item()

    return work


def _request(training: TextTraining) -> tuple[Any, Any, torch.Tensor, Any]:
    """Documents, hints of their samples, random numbers and the documents as targets, of one batch."""
    assert training.estimator is not None
    documents, human, _ = training.streams.next(0)
    device, samples = training.model.device, training.config.adversarial.samples
    asked = training.estimator.request(0, range(len(documents)), documents, human, device)
    longest = training.config.length.maximum_tokens
    uniforms = torch.rand(
        len(documents) * samples, longest, 2, generator=torch.Generator().manual_seed(0)
    ).to(device)
    return asked.sources, asked.hints.repeat_interleave(samples), uniforms, asked.targets


# Where the time goes ------------------------------------------------------------------------------


class Breakdown:
    """Seconds by what they are spent on; what lies inside another part counts for the inner one alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._since = 0.0

    def _switch(self) -> None:
        synchronize()
        now = time.perf_counter()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Within, time is spent on ``name``."""
        self._switch()
        self._running.append(name)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Count all time in a method of an object for ``name``."""
        original = getattr(owner, method)

        @wraps(original)
        def watched(*arguments: Any, **options: Any) -> Any:
            with self.part(name):
                return original(*arguments, **options)

        object.__setattr__(owner, method, watched)


def our_breakdown(recipe: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """A step with a watch on its parts: seconds of each, the rest by itself, adding up to the whole."""
    keep_freed_memory()
    training = prepared(recipe)
    parts = Breakdown()
    model, estimator = training.model, training.estimator
    assert estimator is not None
    parts.watch(model.encoder, "rollout", "sampling")
    parts.watch(model.encoder, "distribution_at", "encoder, forward")
    parts.watch(model.encoder, "read", "encoder, forward")
    parts.watch(model.reconstructor, "document_log_probabilities", "reconstructor, forward")
    parts.watch(model.discriminator, "judge", "discriminator, forward")
    parts.watch(model.discriminator, "log_probabilities", "discriminator, forward")
    parts.watch(estimator.reference, "distribution_of", "reference")
    parts.watch(estimator, "advantages", "rewards")
    parts.watch(training.accelerator, "backward", "backward, all networks")
    parts.watch(training.accelerator, "clip_grad_norm_", "optimizer")
    parts.watch(training.optimizer, "step", "optimizer")
    parts.watch(training.streams, "next", "data")

    def work() -> dict[str, float]:
        parts.seconds.clear()
        for _ in range(STEPS):
            with parts.part("texts and bookkeeping"):
                training.train_step()
        return dict(parts.seconds)

    return work


def measure_training(rounds: int, threads: int, documents: int, samples: int) -> dict[str, Any]:
    """The table's part about training."""
    recipe = shipped_recipe(documents, samples)
    losses = compare_losses(recipe)
    arguments = {"recipe": recipe}
    in_parts = {**recipe, "optimizer": {"rows_at_once": 64}}
    contenders = {
        "step": [
            Contender("plain", plain_step, arguments),
            Contender("plain, freed memory kept", plain_step, {**arguments, "keep": True}),
            Contender("textae", our_step, arguments),
        ],
        "step of textae": [
            Contender("as it is", our_step, arguments),
            Contender("freed memory given back", our_step, {**arguments, "keep": False}),
            Contender("AdamW not fused", our_step, {**arguments, "fused": False}),
            Contender("64 rows at once", our_step, {"recipe": in_parts}),
        ],
        "rollout": [
            Contender("plain", plain_rollout, arguments),
            Contender("textae", our_rollout, arguments),
        ],
        "reconstructor": [
            Contender("plain", plain_reconstructor, arguments),
            Contender("textae", our_reconstructor, arguments),
        ],
    }
    report: dict[str, Any] = {
        "documents": documents,
        "samples": samples,
        "steps_a_round": STEPS,
        "same_samples_same_losses": losses,
    }
    for name, those in contenders.items():
        measured = take_turns(those, rounds, threads)
        count = documents * (STEPS if name.startswith("step") else 1)
        report[name] = described(measured, count)
    (parts,) = take_turns([Contender("textae", our_breakdown, arguments)], rounds, threads).values()
    total = sum(parts.result.values())
    report["breakdown"] = {
        name: {"seconds": seconds / STEPS, "share": seconds / total}
        for name, seconds in sorted(parts.result.items(), key=lambda item: -item[1])
    }
    return report


def described(measured: dict[str, Measured], documents: int) -> dict[str, Any]:
    """Documents per second of each contender, and how many times as fast as the first each of the rest is."""
    first = next(iter(measured))
    return {
        name: {
            "documents_per_second": documents / found.median,
            "seconds": [round(seconds, 4) for seconds in found.seconds],
            "times_as_fast": ratio(measured[first], found),
        }
        for name, found in measured.items()
    }
