"""Masks that forward is handed, beside Keras layers whose formula is not known here, and others."""

from typing import Any

import numpy as np
import pytest

import parity
from parity import CheckReport, Outcome
from parity.checking.layer import masks
from tests.parity.layers import recurrent
from tests.parity.layers.functions import Pair
from tests.parity.layers.planted import keras_layer

BUGS = ("", "ignored", "back")


def pooling(bug: str, first: bool = False) -> Pair:
    """The mean of the steps that count; "ignored" is that of all, "back" sends it to all."""

    def counted(x: Any, mask: Any) -> Any:
        ones = np.ones(x.shape[:2]) if bug == "ignored" else np.asarray(mask, float)
        return ones[..., None] / ones.sum(axis=1)[:, None, None]

    def backward(dout: Any, share: Any) -> Any:
        share = 0 * share + share.max(axis=1, keepdims=True) if bug == "back" else share
        return dout[:, None] * share

    def forward(x: Any, mask: Any) -> Any:
        share = counted(x, mask)
        return (x * share).sum(axis=1).astype(x.dtype), share

    def mask_first(mask: Any, x: Any) -> Any:
        return forward(x, mask)

    def rounded(dout: Any, share: Any) -> Any:
        return backward(dout, share).astype(dout.dtype)

    return mask_first if first else forward, rounded


OUTCOMES = {"": Outcome.RIGHT, "ignored": Outcome.UNKNOWN, "back": Outcome.WRONG}


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pooling_is_handed_the_mask_that_it_takes(bug: str, dtype: Any):
    mask = np.array([[1, 1, 0, 0], [1, 0, 1, 1], [0, 0, 1, 0]], bool)
    x = np.ones((3, 4, 2), dtype) / 2
    ways: tuple[dict[str, Any], ...] = (
        {"inputs": [x, mask]},
        {"inputs": [x, mask.astype(np.float64)]},
        {"inputs": x, "arguments": {"mask": mask}},
        {"inputs": x, "arguments": [mask]},
    )
    for given in ways:
        report = parity.check_layer(*pooling(bug), keras_layer("GlobalAveragePooling1D"), **given)
        assert report.outcome is OUTCOMES[bug], report
        if bug != "ignored":
            assert report.conventions["masks"] == "mask (3, 4)"
        if bug == "back":
            assert [f.where for f in report.findings] == ["dx"]


@pytest.mark.parametrize("bug", BUGS)
def test_a_mask_given_by_its_shape_is_drawn(bug: str):
    ways: tuple[dict[str, Any], ...] = (
        {"inputs": [(3, 4, 2), (3, 4)]},
        {"inputs": (3, 4, 2), "arguments": {"mask": (3, 4)}},
    )
    for given in ways:
        report = parity.check_layer(*pooling(bug), keras_layer("GlobalAveragePooling1D"), **given)
        assert report.outcome is OUTCOMES[bug], report
    report = parity.check_layer(
        *pooling(bug, first=True),
        keras_layer("GlobalAveragePooling1D"),
        inputs=[(3, 4), (3, 4, 2)],
    )
    assert report.outcome is OUTCOMES[bug], report


def test_in_each_row_of_a_mask_that_is_drawn_something_is_seen_and_in_one_not_all():
    for seed in range(200):
        for shape in ((3, 4), (2, 3, 2), (5,)):
            mask = masks.drawn(np.random.default_rng(seed), shape)
            assert mask.dtype == bool
            assert mask[..., 0].all()
            assert not mask.all()


def attention(bug: str) -> Pair:
    """One head, from queries and values (the keys as well), with a mask of values."""

    def forward(q: Any, v: Any, mask: Any) -> Any:
        scores = q @ v.transpose(0, 2, 1)
        hidden = np.zeros_like(mask, bool) if bug == "ignored" else ~mask
        scores = np.where(hidden[:, None], -1e9, scores)
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        a = e / e.sum(axis=-1, keepdims=True)
        return a @ v, (q, v, a)

    def backward(dout: Any, cache: Any) -> Any:
        q, v, a = cache
        da = dout @ v.transpose(0, 2, 1)
        d = da * a if bug == "back" else a * (da - (da * a).sum(axis=-1, keepdims=True))
        dv = a.transpose(0, 2, 1) @ dout + d.transpose(0, 2, 1) @ q
        return d @ v, dv

    return forward, backward


@pytest.mark.parametrize("bug", BUGS)
def test_attention_beside_keras_s_has_the_mask_of_its_values(bug: str):
    """Keras's own layer stands for the formula where the keys are the values."""
    forward, backward = attention(bug)
    report = parity.check_layer(
        forward,
        backward,
        keras_layer("Attention", use_scale=False, dropout=0.0),
        inputs=[(2, 3, 4), (2, 5, 4), (2, 5)],
    )
    assert report.outcome is OUTCOMES[bug], report
    three = parity.check_layer(
        lambda q, k, v, mask: _with_keys(bug, q, k, v, mask),
        lambda dout, cache: _with_keys_back(bug, dout, cache),
        keras_layer("Attention"),
        inputs=[(2, 3, 4), (2, 5, 4), (2, 5, 4), (2, 5)],
    )
    outcome = Outcome.WRONG if bug == "ignored" else OUTCOMES[bug]  # the formula has its slips
    assert three.outcome is outcome, three


def _with_keys(bug: str, q: Any, k: Any, v: Any, mask: Any) -> Any:
    scores = q @ k.transpose(0, 2, 1)
    scores = scores if bug == "ignored" else np.where(mask[:, None], scores, -1e9)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    a = e / e.sum(axis=-1, keepdims=True)
    return a @ v, (q, k, v, a)


def _with_keys_back(bug: str, dout: Any, cache: Any) -> Any:
    q, k, v, a = cache
    da = dout @ v.transpose(0, 2, 1)
    d = da * a if bug == "back" else a * (da - (da * a).sum(axis=-1, keepdims=True))
    return d @ k, d.transpose(0, 2, 1) @ q, a.transpose(0, 2, 1) @ dout


def heads(bug: str) -> Pair:
    """Cross attention in two heads, without biases, with weights as Keras has them."""

    def forward(x: Any, y: Any, mask: Any, wq: Any, wk: Any, wv: Any, wo: Any) -> Any:
        q, k, v = (np.einsum("btd,dhs->bhts", *each) for each in ((x, wq), (y, wk), (y, wv)))
        scores = np.einsum("bhts,bhus->bhtu", q, k) / np.sqrt(wq.shape[-1])
        if bug != "ignored":
            scores = np.where(
                mask[:, None, None] if mask.ndim == 2 else mask[:, None], scores, -1e9
            )
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        a = e / e.sum(axis=-1, keepdims=True)
        o = np.einsum("bhtu,bhus->bhts", a, v)
        return np.einsum("bhts,hsd->btd", o, wo), (x, y, wq, wk, wv, wo, q, k, v, a, o)

    def backward(dout: Any, cache: Any) -> Any:
        x, y, wq, wk, wv, wo, q, k, v, a, o = cache
        do = np.einsum("btd,hsd->bhts", dout, wo)
        dwo = np.einsum("bhts,btd->hsd", o, dout)
        da, dv = np.einsum("bhts,bhus->bhtu", do, v), np.einsum("bhtu,bhts->bhus", a, do)
        d = a * (da - (da * a).sum(axis=-1, keepdims=True)) / np.sqrt(wq.shape[-1])
        dq, dk = np.einsum("bhtu,bhus->bhts", d, k), np.einsum("bhtu,bhts->bhus", d, q)
        dx = np.einsum("bhts,dhs->btd", dq, wq)
        dy = np.einsum("bhts,dhs->btd", dk, wk)
        dy = dy if bug == "back" else dy + np.einsum("bhts,dhs->btd", dv, wv)
        kernels = (np.einsum("btd,bhts->dhs", *each) for each in ((x, dq), (y, dk), (y, dv)))
        return dx, dy, *kernels, dwo

    return forward, backward


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize("mask", [(2, 5), (2, 3, 5)])
def test_heads_beside_keras_s_have_an_attention_mask(bug: str, mask: tuple[int, ...]):
    report: CheckReport = parity.check_layer(
        *heads(bug),
        keras_layer("MultiHeadAttention", 2, 3, use_bias=False),
        inputs=[(2, 3, 4), (2, 5, 4), mask],
        weights=[(4, 2, 3)] * 3 + [(2, 3, 4)],
    )
    assert report.outcome is OUTCOMES[bug], report
    if bug == "back":
        assert [f.where for f in report.findings] == ["dy"]
    if bug == "":
        assert "mask" in report.conventions["masks"]


def test_a_mask_that_keras_s_layer_does_not_look_at_makes_nobody_right():
    """Keras's attention takes a mask of keys too, and passes it over."""
    forward, backward = attention("ignored")
    report = parity.check_layer(
        forward, backward, keras_layer("AdditiveAttention", use_scale=False),
        inputs=[(2, 3, 4), (2, 5, 4), (2, 5)],
    )  # fmt: skip
    assert report.outcome is Outcome.UNKNOWN, report


@pytest.mark.parametrize("bug", ["", "mask", "mask back"])
def test_a_recurrence_has_a_mask_among_its_inputs_as_among_its_arguments(bug: str):
    forward, backward = recurrent.lstm(bug)
    report = parity.check_layer(
        lambda x, h0, mask, w, b: forward(x, h0, w, b, mask),
        backward,
        keras_layer("LSTM", 5),
        inputs=[(3, 4, 2), (3, 5), (3, 4)],
        weights=[(7, 20), (20,)],
    )
    assert report.outcome is (Outcome.WRONG if bug else Outcome.RIGHT), report
    assert [f.code for f in report.findings] == (["mask-ignored"] if bug else [])


def test_what_is_said_in_front_of_the_first_step_is_no_truncation():
    """There Keras says 0, and this layer its first state; neither is a bug that has a name."""
    forward, backward = recurrent.lstm("")
    mask = np.array([[0, 1, 1, 1], [1, 1, 0, 1], [1, 0, 1, 1]])
    report = parity.check_layer(
        forward,
        backward,
        keras_layer("LSTM", 5),
        inputs=[(3, 4, 2), (3, 5)],
        weights=[(7, 20), (20,)],
        arguments={"mask": mask},
    )
    assert report.outcome is Outcome.UNKNOWN, report
    assert [f.code for f in report.findings] == ["unknown-forward"]
