"""Short runs on the embedded corpus with the estimators whose gradients flow through the summary."""

import json

import pytest

from textae.evaluation.scoring import rouge_on_valid
from textae.models.autoencoder import TextAutoencoder
from textae.training.run import train

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("estimator", ["gumbel", "wgan"])
def test_the_reconstruction_loss_falls(tmp_path, make_config, estimator):
    config = make_config(
        tmp_path,
        data={"documents": ["newswire:400"], "human": ["newswire:400"]},
        encoder={"width": 32, "feed_forward": 32},
        reconstructor={"width": 32, "feed_forward": 32},
        noise={"similar_documents": 0.0, "graft_share": None, "document_forms": 0.0},
        warmup={"steps": 30, "documents_per_batch": 16, "learning_rate": 6e-3},
        adversarial={
            "steps": 50,
            "documents_per_batch": 16,
            "samples": 1,
            "estimator": estimator,
            "reconstructor_learning_rate": 6e-3,
            "gumbel_temperature": 1.0,
            "gumbel_final_temperature": 0.5,
            "rewards": {},
        },
        run={"sample_every": 80, "evaluate_every": 80, "save_every": 80},
    )
    train(config, evaluate=rouge_on_valid)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss/reconstructor"] for line in lines if line.get("phase") == "adversarial"]
    assert len(losses) == 50
    assert sum(losses[-5:]) / 5 < sum(losses[:5]) / 5 - 0.3  # nats per token
    assert all(TextAutoencoder.from_pretrained(tmp_path).summarize(["fog keeps the ferry in port ellin ."]))
