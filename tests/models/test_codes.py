"""Codes of numbers: shapes, and the maths by hand."""

import math
from types import SimpleNamespace

import pytest
import torch

from textae.errors import InputError
from textae.model_config import CodeConfig
from textae.models.codes import build_code
from textae.models.codes.code import Circumstances, Coded
from textae.models.codes.gaussian import gaussian_divergence
from textae.models.codes.pooling import Pooling, Unfolding
from textae.models.codes.split import NOISE, next_of_source, shortest_way
from textae.training.reduce import Reduce

KINDS = ("vector", "gaussian", "vq", "split")
REDUCE = Reduce(SimpleNamespace(num_processes=1))


def build(kind, sources=2, **values):
    torch.manual_seed(0)
    settings = {"vectors": 2, "width": 4, "slots": 3, "codebook_size": 5, "style_width": 1, **values}
    return build_code(CodeConfig(kind=kind, **settings), 6, 20, sources)


def around(rows, code, progress=0, sources=None):
    normal = torch.randn(rows, code.config.vectors, code.config.width)
    sources = torch.zeros(rows, dtype=torch.long) if sources is None else torch.tensor(sources)
    return Circumstances(progress, normal, sources)


@pytest.fixture
def states():
    """Three documents of four states, the last two of one document being padding."""
    torch.manual_seed(1)
    mask = torch.ones(3, 4, dtype=torch.bool)
    mask[1, 2:] = False
    return torch.randn(3, 4, 6), mask


@pytest.mark.parametrize("kind", KINDS)
def test_a_code_has_its_shape_and_does_not_see_padding(kind, states):
    code = build(kind).eval()
    values = code.encode(*states)
    assert values.shape == (3, 2, 4)
    assert code.decode(values).shape == (3, 2 * 3, 6)
    changed = states[0].clone()
    changed[1, 2:] = 1000.0
    assert torch.equal(values, code.encode(changed, states[1]))
    learned = code.learn(*states, around(3, code, sources=[0, 1, 0]))
    assert learned.values.shape == (3, 2, 4)
    for loss in [*learned.losses.values(), *learned.nats.values(), *learned.measures.values()]:
        assert loss.shape == (3,)


def test_pooling_begins_with_the_mean_and_the_largest():
    pooling = Pooling(2, 1, 4)
    with torch.no_grad():
        pooling.values.copy_(torch.eye(4)[None])
    states = torch.tensor([[[1.0, 5.0], [3.0, 1.0], [90.0, 90.0]]])
    mask = torch.tensor([[True, True, False]])
    assert pooling(states, mask).flatten().tolist() == pytest.approx([2.0, 3.0, 3.0, 5.0])


def test_unfolding_gives_every_vector_states_of_its_own():
    unfolding = Unfolding(2, 3, 2, 4)
    first, second = torch.randn(1, 2, 3), torch.randn(1, 2, 3)
    second[:, 0] = first[:, 0]
    one, two = unfolding(first), unfolding(second)
    assert one.shape == (1, 4, 4)
    assert torch.equal(one[:, :2], two[:, :2])
    assert not torch.allclose(one[:, 2:], two[:, 2:])


def test_the_divergence_of_normal_distributions():
    mean, log_variance = torch.tensor([0.0, 2.0, 0.0]), torch.tensor([0.0, 0.0, math.log(4.0)])
    # 1/2 (m^2 + s^2 - 1 - ln s^2): nothing, 2, and 1/2 (3 - ln 4).
    wanted = [0.0, 2.0, 0.5 * (3.0 - math.log(4.0))]
    assert gaussian_divergence(mean, log_variance).tolist() == pytest.approx(wanted)


def test_a_cloud_is_drawn_from_and_its_divergence_paid_above_the_free_bits(states):
    code = build("gaussian", free_bits=0.5, kl_weight=2.0, kl_steps=4)
    with torch.no_grad():
        code.log_variance.bias.fill_(math.log(0.25))
    circumstances = around(3, code, progress=0)
    learned = code.learn(*states, circumstances)
    mean = code.encode(*states)
    assert torch.allclose(learned.values, mean + 0.5 * circumstances.normal)
    divergence = gaussian_divergence(mean, torch.full_like(mean, math.log(0.25)))
    assert torch.allclose(learned.measures["kl"], divergence.sum((1, 2)))
    # A quarter of the weight at the first of four steps, all of it from the fourth on.
    paid = divergence.clamp_min(0.5).sum((1, 2))
    assert torch.allclose(learned.nats["kl"], 2.0 * 0.25 * paid)
    later = code.learn(*states, around(3, code, progress=9))
    assert torch.allclose(later.nats["kl"], 2.0 * paid)


def test_active_units_are_numbers_that_differ_between_documents():
    code = build("gaussian", vectors=1)
    means = torch.zeros(4, 1, 4)
    means[:, 0, 0] = torch.tensor([1.0, -1.0, 1.0, -1.0])
    means[:, 0, 1] = torch.tensor([0.09, -0.09, 0.09, -0.09])  # a variance of 0.0081
    means[:, 0, 2] = 7.0
    assert code.after_step(Coded(means, update={"means": means}), REDUCE) == {"code/active_units": 1.0}


def test_a_prior_is_what_only_the_variational_code_has():
    normal = torch.randn(2, 2, 4)
    assert torch.equal(build("gaussian").draw(normal), normal)
    assert all(build(kind).draw(normal) is None for kind in ("vector", "vq", "split"))


def test_only_discrete_codes_are_looked_up():
    for kind in ("vector", "gaussian", "split"):
        assert build(kind).frequencies() is None
        with pytest.raises(InputError, match=f"A {kind} code is not discrete: there is nothing to look up"):
            build(kind).look_up(torch.zeros(1, 2, dtype=torch.long))
    code = build("vq")
    assert torch.equal(code.look_up(torch.tensor([[3, 1]]))[0], code.codebook[[0, 1], [3, 1]])


def test_vectors_become_the_nearest_entries_of_their_codebooks(states):
    code = build("vq", vectors=1, width=2, codebook_size=3, continuous_steps=1)
    code.codebook.copy_(torch.tensor([[[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]]))
    vectors = torch.tensor([[[8.0, 1.0]], [[1.0, 7.0]], [[1.0, -1.0]]], requires_grad=True)
    code._vectors = lambda states, mask: vectors
    assert code.indices(*states).tolist() == [[1], [2], [0]]
    assert torch.equal(code.learn(*states, around(3, code, progress=0)).values, vectors)
    learned = code.learn(*states, around(3, code, progress=1))
    assert learned.values.flatten(1).tolist() == [[10.0, 0.0], [0.0, 10.0], [0.0, 0.0]]
    assert learned.measures["distance"].tolist() == pytest.approx([2.5, 5.0, 1.0])
    assert learned.losses["commitment"].tolist() == pytest.approx([0.625, 1.25, 0.25])
    learned.values.sum().backward()
    assert vectors.grad.tolist() == [[[1.0, 1.0]]] * 3  # straight through


def test_entries_are_running_means_and_perplexity_tells_how_many_are_in_use():
    code = build("vq", vectors=1, width=1, codebook_size=2, codebook_decay=0.5)
    code.codebook.copy_(torch.tensor([[[0.0], [10.0]]]))
    code.counts.copy_(torch.tensor([[2.0, 2.0]]))
    vectors = torch.tensor([[[4.0]], [[12.0]], [[14.0]], [[16.0]]])
    indices = torch.tensor([[0], [1], [1], [1]])
    told = code.after_step(Coded(vectors, update={"vectors": vectors, "indices": indices}), REDUCE)
    # Counts: (2 + 1) / 2 and (2 + 3) / 2; sums: (0 + 4) / 2 and (20 + 42) / 2.
    assert code.counts.tolist() == [[1.5, 2.5]]
    assert code.codebook.flatten().tolist() == pytest.approx([2.0 / 1.5, 31.0 / 2.5])
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert told == {"code/perplexity": pytest.approx(math.exp(entropy)), "code/revived": 0.0}


def test_dead_entries_begin_anew_at_vectors_of_the_batch():
    code = build("vq", vectors=1, width=1, codebook_size=4, codebook_decay=0.5)
    vectors = torch.tensor([[[4.0]], [[9.0]]])
    indices = torch.tensor([[2], [2]])
    told = code.after_step(Coded(vectors, update={"vectors": vectors, "indices": indices}), REDUCE)
    # No entry stood for anything: the third is the mean of both, two of the dead ones take a vector each.
    assert code.codebook[0, [0, 1, 2], 0].tolist() == [4.0, 9.0, 6.5]
    assert told["code/revived"] == 2.0
    assert code.counts.flatten().tolist() == pytest.approx([0.025, 0.025, 1.0, 0.0])


def test_vectors_have_one_length_before_they_are_quantised(states):
    code = build("vq")
    length = code._vectors(*states).norm(dim=-1)
    assert torch.allclose(length, torch.full_like(length, 4**0.5), atol=1e-3)


def test_style_is_another_documents_of_the_source_and_content_unlearns_it(states):
    assert next_of_source(torch.tensor([0, 1, 0, 0, 1, 2])).tolist() == [2, 4, 3, 0, 1, 5]
    code = build("split")
    values = torch.randn(3, 2, 4, requires_grad=True)
    code.pool.forward = lambda states, mask: values
    with torch.no_grad():
        code.means[1], code.deviations[1] = 2.0, 4.0
    circumstances = around(3, code, sources=[0, 1, 0])
    learned = code.learn(*states, circumstances)
    content, style = code.parts(values)
    assert content.shape == (3, 2, 3)
    # Of two documents each is half their difference from the mean, and that by sqrt 2 is the deviation. The
    # second is alone: its source has been seen to have a mean of 2 and to deviate by 4.
    sign = (content[0] - content[2]).sign() / 2**0.5
    wanted = torch.stack([sign, (content[1] - 2) / 4, -sign])
    wanted = wanted + NOISE * code.parts(circumstances.normal)[0]
    expected = torch.cat([wanted, style[[2, 1, 0]]], dim=-1)
    torch.testing.assert_close(learned.values, expected, rtol=1e-4, atol=1e-4)
    # The classifier learns, and content does not help it; content learns to mislead it, and it does not see.
    learned.losses["content"].sum().backward()
    assert values.grad is None
    assert all(parameter.grad is not None for parameter in code.from_content.parameters())
    code.zero_grad()
    learned.losses["hidden"].sum().backward()
    assert all(parameter.grad is None for parameter in code.from_content.parameters())
    assert values.grad[..., :3].abs().sum() > 0 and not values.grad[..., 3:].any()


def test_each_source_has_a_mean_and_a_deviation_of_its_own():
    code = build("split", vectors=1)
    content = torch.tensor([[1.0, 0.0, 5.0], [3.0, 0.0, 5.0], [7.0, 7.0, 7.0]])[:, None]
    sources = torch.tensor([1, 1, 0])
    code.after_step(Coded(content, update={"content": content, "sources": sources}), REDUCE)
    # A tenth of the way from 0 and 1 to mean (2, 0, 5) and deviation (sqrt 2, at least 0.001).
    assert code.means[1, 0].tolist() == pytest.approx([0.2, 0.0, 0.5])
    assert code.deviations[1, 0].tolist() == pytest.approx([0.9 + 0.1 * 2**0.5, 0.9001, 0.9001])
    # One document says nothing of its source's deviation: that source waits for more.
    assert code.means[0, 0].tolist() == [0.0] * 3 and code.deviations[0, 0].tolist() == [1.0] * 3


def test_without_a_label_the_source_is_what_the_style_tells(states):
    code = build("split", vectors=1)
    values = torch.randn(3, 1, 4)
    code.pool.forward = lambda states, mask: values
    with torch.no_grad():
        code.means[1], code.deviations[1] = 3.0, 2.0
        for parameter in code.from_style.parameters():
            parameter.zero_()
        code.from_style[-1].bias.copy_(torch.tensor([1.0, 3.0]).log())
    # Three quarters of mean 3 and deviation 2, a quarter of 0 and 1, whatever the style is.
    content, style = code.parts(values)
    torch.testing.assert_close(code.encode(*states), torch.cat([(content - 2.25) / 1.75, style], dim=-1))


def test_fitted_content_has_one_mean_and_covariance_in_all_sources(states):
    code = build("split", vectors=1)
    torch.manual_seed(3)
    mixing = torch.tensor([[1.0, 0.8, 0.0], [0.0, 0.6, 0.0], [0.5, 0.0, 1.0]])
    first, second = torch.randn(400, 3), 2.0 + torch.randn(300, 3) @ mixing
    values = torch.cat([torch.cat([first, second]), torch.zeros(700, 1)], dim=-1)[:, None]
    sources = torch.tensor([0] * 400 + [1] * 300)
    code.fit(values, sources)
    moved = []
    for source in (0, 1):
        rows = (values[sources == source][..., :3] - code.means[source]) / code.deviations[source]
        moved.append(rows.flatten(1) @ code.alignments[source])
    for rows in moved:
        assert torch.allclose(rows.mean(0), torch.zeros(3), atol=1e-4)
    torch.testing.assert_close(moved[0].T.cov(), moved[1].T.cov(), rtol=0, atol=5e-3)
    # What encode gives where the style leaves no doubt.
    code.pool.forward = lambda states, mask: values[:2]
    with torch.no_grad():
        for parameter in code.from_style.parameters():
            parameter.zero_()
        code.from_style[-1].bias.copy_(torch.tensor([50.0, 0.0]))
    torch.testing.assert_close(code.encode(*states)[:, 0, :3], moved[0][:2], rtol=1e-4, atol=1e-4)


def test_too_few_documents_fit_means_but_no_covariance():
    code = build("split", vectors=1)
    values = torch.tensor([[1.0, 0.0, 5.0, 9.0], [3.0, 0.0, 5.0, 9.0], [7.0, 7.0, 7.0, 9.0]])[:, None]
    code.fit(values, torch.tensor([1, 1, 0]))
    assert code.means[1, 0].tolist() == [2.0, 0.0, 5.0]
    assert code.means[0, 0].tolist() == [0.0] * 3
    assert torch.equal(code.alignments, torch.eye(3).repeat(2, 1, 1))


def test_the_shortest_way_between_covariances_by_hand():
    # Of commuting matrices it is the root of their quotient: deviations of 1 and 2 become 3 and 4.
    way = shortest_way(
        torch.diag(torch.tensor([1.0, 4.0])).double(), torch.diag(torch.tensor([9.0, 16.0])).double()
    )
    torch.testing.assert_close(way, torch.diag(torch.tensor([3.0, 2.0])).double(), rtol=0, atol=5e-3)


def test_hiding_the_source_costs_nothing_where_all_are_equally_likely(states):
    code = build("split")
    for parameter in code.from_content.parameters():
        torch.nn.init.zeros_(parameter)
    around_all = around(3, code, sources=[0, 1, 0])
    assert torch.allclose(code.learn(*states, around_all).losses["hidden"], torch.zeros(3), atol=1e-6)
    # Of probabilities 3/4 and 1/4 the mean logarithm is that of a root: -log sqrt(3/16) - log 2.
    with torch.no_grad():
        code.from_content[-1].bias.copy_(torch.tensor([3.0, 1.0]).log())
    wanted = -0.5 * math.log(3 / 16) - math.log(2)
    assert code.learn(*states, around_all).losses["hidden"].tolist() == pytest.approx([wanted] * 3)


def test_another_style_leaves_content_as_it_is():
    code = build("split")
    values, models = torch.randn(3, 2, 4), torch.randn(5, 2, 4)
    changed = code.restyle(values, models)
    assert torch.equal(changed[..., :3], values[..., :3])
    assert torch.allclose(changed[..., 3], models[..., 3].mean(0).expand(3, 2))


def test_telling_sources_apart_wants_two_of_them():
    with pytest.raises(InputError, match="wants documents of two sources or more"):
        build("split", sources=1)


def test_style_leaves_room_for_content():
    with pytest.raises(InputError, match=r"code.style_width = 4 must be below code.width = 4"):
        build("split", style_width=4)
