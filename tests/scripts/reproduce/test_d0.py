"""D0: the reading rule by hand, the protocols, and the whole reproduction in little."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digit_data import datasets
from numpy_impl import losses, models
from scripts import engines, recipes
from scripts.reproduce.documents.d0 import data, reading, reproduction, training
from scripts.reproduce.documents.d0.reading import UNDECIDED
from scripts.reproduce.documents.d0.training import HELD_OUT, LADDER, PUBLISHED, SHUFFLED, SOUND
from scripts.reproduce.results import Context


def _outputs(*activations: dict[int, float]) -> np.ndarray:
    """Return a row of ten outputs for each argument, 0.1 where it names none."""
    rows = np.full((len(activations), 10), 0.1, np.float32)
    for row, named in zip(rows, activations, strict=True):
        row[list(named)] = list(named.values())
    return rows


@pytest.mark.parametrize(
    ("activations", "digit", "published"),
    [
        ({4: 0.9}, 4, 4),
        ({7: 0.5}, 7, 7),  # exactly 0.5 from 1
        ({7: 0.4999}, UNDECIDED, 0),  # the winner is too low
        ({3: 0.9, 5: 0.9}, UNDECIDED, 0),  # a tie, however high
        ({3: 0.9, 5: 0.8}, 3, 3),  # no tie
        ({0: 0.8}, 0, 0),  # a zero that is meant
        ({0: 0.3}, UNDECIDED, 0),  # a zero that is not
        ({}, UNDECIDED, 0),  # all ten alike
    ],
)
def test_the_reading_rule_by_hand(activations, digit, published):
    outputs = _outputs(activations)
    assert reading.read(outputs).tolist() == [digit]
    assert reading.read_as_published(outputs).tolist() == [published]


# A 0 read as 0; a 0 undecided, its largest output that of 2; a 4 undecided, its largest that of 4;
# a 7 just decided; a 3 read as 5.
FIVE = _outputs({0: 0.8}, {2: 0.4}, {4: 0.45}, {7: 0.5}, {5: 0.9})
LABELS = np.array([0, 0, 4, 7, 3])


def test_five_answers_judged_by_hand():
    found = reading.judge(FIVE, LABELS)
    # Reported by the published rule: 0 0 0 7 5, of which the third and the last are wrong.
    assert found.published == pytest.approx(60)
    assert found.argmax == pytest.approx(60)  # 0 2 4 7 5
    assert found.decided == pytest.approx(40)  # 0 ? ? 7 5
    assert (found.undecided, found.real_zeros, found.invented_zeros) == (2, 1, 1)
    assert found.zeros == pytest.approx(200 / 3)
    assert found.lost == (3, 4)


def test_the_confusion_matrix_has_a_column_for_undecided_answers():
    expected = np.zeros((10, 11), int)
    expected[0, 0] = expected[0, 10] = expected[4, 10] = expected[7, 7] = expected[3, 5] = 1
    np.testing.assert_array_equal(reading.confusion(FIVE, LABELS), expected)


def test_the_published_protocol_is_what_the_train_command_does():
    context, digits = Context(1, Path()), training.last_359(0)
    ours = training.train(replace(PUBLISHED, epochs=1), digits, 3, context)
    recipe = recipes.get("64-40-10")
    weights_rng, order_rng, split_rng, _ = np.random.default_rng(3).spawn(4)
    samples = recipe.load(None, split_rng, "float32")
    schedule = recipe.order(len(samples.x_train), recipe.batch_size, order_rng)
    with engines.trainer("numpy", engines.TrainingPlan.of(recipe), weights_rng) as trainer:
        trainer.fit(samples.x_train, samples.y_train, epochs=1, schedule=schedule)
        np.testing.assert_array_equal(trainer.predict(samples.x_test), ours.outputs)


def test_all_protocols_take_the_same_number_of_updates():
    # 20 cycles of 1439 windows; 300 epochs of 95 batches of 15 and one of 13.
    rng = np.random.default_rng(0)
    updates = [p.epochs * len(p.schedule(1438, rng)(0)) for p in LADDER]
    assert updates == [28_780, 28_780, 28_800, 28_800]
    assert sorted(np.concatenate(SHUFFLED.schedule(1438, rng)(0))) == list(range(1438))


def test_settings_are_chosen_without_a_test_picture():
    whole, part = training.last_359(0), training.held_out(0)
    assert len(part.x_test) == 288 == -(-1438 // HELD_OUT)
    np.testing.assert_array_equal(np.concatenate([part.x_train, part.x_test]), whole.x_train)
    np.testing.assert_array_equal(np.concatenate([part.y_train, part.y_test]), whole.y_train)


def test_sixteen_times_brighter_is_sixteen_times_the_weights_and_256_times_the_rate():
    # What the page says: a step with raw pixels and W is a step with pixels / 16, 16 W, 256 eta.
    parts = datasets.load_digits_split("last359")
    x, y = parts.x_train[:15].reshape(15, 64), datasets.one_hot(parts.y_train[:15])
    # So small that the sigmoids have slopes to speak of.
    raw = models.build("64-40-10", np.random.default_rng(0), dtype="float64")
    raw.parameters[...] /= 30
    scaled = raw.clone()
    scaled.weights[0][...] *= 16
    loss = losses.get("quadratic")
    of_raw, of_scaled = (
        [g.copy() for g in network.loss_and_gradients(pixels, y, loss)[1]]
        for network, pixels in ((raw, x), (scaled, x / 16))
    )
    assert np.abs(of_raw[0]).max() > 1e-3
    stepped_raw = raw.weights[0] - 1.0 * of_raw[0]
    stepped_scaled = scaled.weights[0] - 256.0 * of_scaled[0]
    np.testing.assert_allclose(stepped_scaled, 16 * stepped_raw, rtol=1e-12, atol=1e-12)
    for other_raw, other_scaled in zip(of_raw[1:], of_scaled[1:], strict=True):
        np.testing.assert_allclose(other_scaled, other_raw, rtol=1e-10, atol=1e-15)


def test_sound_weights_start_small_and_the_published_ones_do_not():
    rng = np.random.default_rng(0)
    kernel, bias = SOUND.network(rng, "float32").weights[:2]
    assert kernel.std() == pytest.approx(1 / 8, rel=0.05)  # 1 / sqrt(64)
    assert not bias.any()
    assert PUBLISHED.network(rng, "float32").weights[0].std() == pytest.approx(1, rel=0.05)


def test_weights_of_five_samples_in_windows_of_two():
    # The windows 01, 12, 23, 23, 34, 34 without and 234 with a third: see the recipes' test.
    batches = recipes.windows(5, 2, np.random.default_rng(0))(0)
    weights = data.sample_weights(batches, 5)
    expected = [1 / 2, 1, 1 / 2 + 1 / 2 + 1 / 3, 3 / 2 + 1 / 3, 1 + 1 / 3]
    np.testing.assert_allclose(weights, expected)


def test_neighbours_by_hand():
    # Four pictures of a 1; two of a 2 that look like them and must not count for them. Nearest: of
    # 0 it is 0.1, four places on; of 1 it is 0.1 too, three on; of 10 it is 1, two back; of 0.1 it
    # is 0, four back. The 2s stand three places apart.
    pictures = np.array([[0.0], [1.0], [0.0], [10.0], [0.1], [0.1]])
    labels = np.array([1, 1, 2, 1, 1, 2])
    near, by_chance = data.near_share(pictures, labels, places=2)
    assert near == pytest.approx(100 / 6)
    # Within two places stand, of three others each: 1; 0 and 10; 1 and 0.1; 10.
    assert by_chance == pytest.approx(100 * (1 + 2 + 2 + 1) / 3 / 6)


def test_all_of_it_in_little(tmp_path):
    lines: list[str] = []
    found = reproduction.reproduce(
        Context(3, tmp_path, quick=True, status=lines.append, line=lines.append)
    )
    assert set(found.tables) == {
        "ladder", "rates", "splits", "rules", "seeds", "nudges", "slopes", "example",
    }  # fmt: skip
    for table in found.tables.values():
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}
    assert len(found.targets) == 2
    pictures = {path.name for path in tmp_path.iterdir()}
    assert pictures == {
        "examples.png", "outputs.png", "slopes.png", "curves.png", "confusion-published.png",
        "confusion-sound.png",
    }  # fmt: skip
    for name in pictures:
        with Image.open(tmp_path / name) as image:
            assert image.format == "PNG"
    assert any("as published" in line for line in lines)
