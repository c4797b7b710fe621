"""Cracks read from pictures: traced, measured, doubted; exact where two shades draw them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from models.crack_frames.window import PictureWindow, frames
from models.crack_image.baselines import darkest, ridge
from models.crack_image.measures import score, summary
from models.crack_image.network import SegmentationNetwork, probability, standardised
from models.crack_image.reader import SMALLEST, WORKING, CrackReader, reduced
from models.crack_image.recipe import as_examples, loss, network, scenes
from models.crack_image.scenes import SceneKind, scene
from models.crack_image.trace import arc_length, trace
from models.crack_image.trust import TRUST, Trust
from models.training import parameters


def line(start: tuple[float, float], end: tuple[float, float], wide: float = 3.0) -> NDArray[Any]:
    """Chances (120, 160) of one near a straight line, of zero elsewhere."""
    y, x = np.mgrid[:120, :160] + 0.5
    a, b = np.array(start), np.array(end)
    along = (b - a) / np.hypot(*(b - a))
    s = np.clip((x - a[0]) * along[0] + (y - a[1]) * along[1], 0.0, np.hypot(*(b - a)))
    far = np.hypot(x - a[0] - s * along[0], y - a[1] - s * along[1])
    return np.asarray(far <= 0.5 * wide, dtype=float)


@given(
    st.tuples(st.floats(10, 60), st.floats(10, 110)),
    st.tuples(st.floats(100, 150), st.floats(10, 110)),
    st.floats(2.0, 7.0),
)
@settings(max_examples=15, deadline=None)
def test_a_straight_line_is_as_long_as_it_is(
    start: tuple[float, float], end: tuple[float, float], wide: float
) -> None:
    found = trace(line(start, end, wide))
    assert found is not None
    assert found.length == pytest.approx(math.dist(start, end), abs=wide + 2.0)
    ends = sorted(found.path[[0, -1]].tolist())
    assert math.dist(ends[0], start) <= 0.5 * wide + 1.5
    assert math.dist(ends[1], end) <= 0.5 * wide + 1.5


def test_turning_a_picture_turns_what_is_read() -> None:
    upright = line((20, 20), (90, 100)) + line((90, 100), (140, 60))
    upright = np.minimum(upright, 1.0)
    lengths = [trace(np.rot90(upright, k)).length for k in range(4)]  # type: ignore[union-attr]
    assert lengths == pytest.approx([lengths[0]] * 4, abs=1.0)


def test_the_longest_way_is_the_main_crack_and_a_branch_is_not() -> None:
    crack = np.maximum(line((5, 60), (150, 60)), line((70, 60), (90, 30)))
    found = trace(crack)
    assert found is not None
    assert found.length == pytest.approx(145.0, abs=4.0)
    assert np.abs(found.path[:, 1] - 60.0).max() < 2.5


def test_a_gap_is_bridged_and_told_and_a_wide_one_is_not() -> None:
    near = np.maximum(line((5, 60), (70, 60)), line((86, 60), (150, 60)))
    far = np.maximum(line((5, 60), (60, 60)), line((100, 60), (150, 60)))
    one, two = trace(near), trace(far)
    assert one is not None
    assert two is not None
    assert one.length == pytest.approx(145.0, abs=4.0)
    assert 0.05 < one.bridged < 0.15
    assert two.length == pytest.approx(55.0, abs=4.0)
    assert two.rival > 0.8


def test_where_nothing_is_likely_nothing_is_traced() -> None:
    assert trace(np.full((40, 40), 0.4)) is None
    assert trace(np.zeros((40, 40))) is None


def test_pieces_at_the_border_are_traced_where_denormal_numbers_are_flushed() -> None:
    crack = np.zeros((60, 60))
    crack[0, :30] = crack[:30, 15] = 1.0  # a tree that splits it at row zero ran off its stack
    torch.set_flush_denormal(True)  # as the service does
    found = trace(crack)
    assert found is not None
    assert found.length == pytest.approx(43.0, abs=3.0)


def test_frames_of_a_library_are_read_within_a_pixel() -> None:
    window = PictureWindow()
    x = np.linspace(0.0, 6.0e-3, 40)
    path = np.stack([x, -0.4 * x - 0.5e-3 * np.sin(800.0 * x)], axis=1)
    ends = np.array([10, 20, 39])
    for frame, end in zip(frames(path, ends, window), ends, strict=True):
        for picture in (frame, 255 - frame):
            read = CrackReader(np.zeros_like)(picture)
            tip = np.array([path[end, 0], window.top - path[end, 1]]) / window.pixel
            assert read.outcome == "measured"
            assert read.at_border == (True, False)
            assert math.dist(read.path[-1], tip) <= 1.0
            true = arc_length(path[: end + 1]) / window.pixel
            assert read.length == pytest.approx(true, abs=2.0)


@pytest.mark.parametrize(
    ("shape", "word"), [((SMALLEST - 1, 80), "smaller"), ((SMALLEST, 80), "one shade")]
)
def test_what_is_no_picture_of_anything_is_told(shape: tuple[int, int], word: str) -> None:
    read = CrackReader(np.ones_like)(np.full(shape, 7, np.uint8))
    assert (read.outcome, len(read.path)) == ("nothing", 0)
    assert word in read.why
    with pytest.raises(ValueError, match="two axes"):
        CrackReader(np.ones_like)(np.zeros((40, 40, 3)))


@pytest.mark.parametrize("level", [70, 90, 110, 120, 130, 150, 170])
def test_a_photograph_in_two_shades_is_not_measured(level: int) -> None:
    rng = np.random.default_rng(1)
    crack = ndimage.gaussian_filter(line((0, 60), (100, 50), 5.0), 1.0)
    photograph = 160.0 - 90.0 * crack + ndimage.gaussian_filter(rng.normal(0, 100, crack.shape), 1)
    picture = np.where(photograph > level, 255, 0).astype(np.uint8)
    read = CrackReader(np.zeros_like)(picture)
    assert read.outcome in ("untrusted", "nothing")
    assert "two shades" in read.why or read.outcome == "nothing"


def test_a_drawing_is_one_line() -> None:
    crack = line((0, 60), (120, 50)) > 0
    assert CrackReader(np.zeros_like)(crack).outcome == "measured"
    crack[10, 10] = True
    assert "2 pieces" in CrackReader(np.zeros_like)(crack).why
    half = np.zeros((120, 160), dtype=bool)
    half[:, :75] = True  # a shadow, or what lies beside the part
    read = CrackReader(np.zeros_like)(half)
    assert read.outcome == "untrusted"
    assert "no line" in read.why


@pytest.mark.parametrize(("count", "trusted"), [(3, False), (7, False), (8, True), (16, True)])
def test_a_picture_of_few_shades_is_not_trusted(count: int, trusted: bool) -> None:
    chances = line((0, 60), (120, 50))
    picture = (np.arange(chances.size) % count).reshape(chances.shape).astype(np.uint8)
    read = known(chances)(picture)
    assert (read.outcome == "measured") is trusted
    assert (f"{count} shades" in read.why) is not trusted


def test_a_softened_picture_of_two_shades_is_not_trusted() -> None:
    chances = line((0, 60), (120, 50))
    picture = np.arange(chances.size).reshape(chances.shape) % 200
    for share, trusted in ((0.79, True), (0.81, False)):
        flat = picture.copy()
        flat.ravel()[: int(share * flat.size)] = 255 * (np.arange(int(share * flat.size)) % 2)
        assert (known(chances)(flat).outcome == "measured") is trusted


def shades(chances: NDArray[Any]) -> NDArray[Any]:
    """A picture that is not of two shades; its reader gives `chances`."""
    return np.linspace(0.0, 1.0, chances.size).reshape(chances.shape)


def known(chances: NDArray[Any], trust: Trust = TRUST) -> CrackReader:
    return CrackReader(lambda _: chances, trust)


def test_doubts_are_sentences_and_lie_on_both_sides_of_their_thresholds() -> None:
    for length, trusted in ((TRUST.shortest - 3.0, False), (TRUST.shortest + 8.0, True)):
        chances = line((20.0, 60.0), (20.0 + length, 60.0))
        read = known(chances)(shades(chances))
        assert (read.outcome == "measured") is trusted, read.why
    seen = TRUST._replace(odds=3.0, unseen=8.0, relative=9.0)
    for support, trusted in ((0.625 - 0.02, False), (0.625 + 0.02, True)):
        chances = support * line((20.0, 60.0), (140.0, 60.0))
        read = known(chances, seen)(shades(chances))
        assert (read.outcome == "measured") is trusted, read.why
    chances = np.maximum(line((20, 20), (140, 20)), line((20, 100), (130, 100)))
    assert "another crack" in known(chances)(shades(chances)).why


def test_a_large_picture_is_averaged_down_and_read_in_its_own_pixels() -> None:
    picture = np.full((2 * WORKING + 6, 2 * WORKING), 200, np.uint8)
    picture[1000:1012, :900] = 20
    picture[0, 0] = 100
    small, factor = reduced(picture)
    assert (small.shape, factor) == ((684, 682), 3)
    assert small.mean() == pytest.approx(picture[:2052, :2046].mean(), rel=1e-4)
    read = CrackReader(darkest)(picture)
    assert read.length == pytest.approx(900.0, abs=12.0)
    assert read.path[-1] == pytest.approx([900.0, 1006.0], abs=9.0)


def test_what_covers_much_of_a_picture_is_no_crack_and_is_not_traced() -> None:
    weave = np.indices((500, 500)).sum(axis=0) % 3 == 0
    assert "33%" in CrackReader(np.zeros_like)(weave.astype(np.uint8)).why
    full = np.full((400, 400), 0.9)
    read = known(full)(shades(full))
    assert read.outcome == "nothing"
    assert "100%" in read.why


def test_ridges_and_thresholds_find_a_plain_line() -> None:
    rng = np.random.default_rng(0)
    crack = line((0, 60), (120, 40)) > 0
    picture = 200.0 - 120.0 * crack + rng.normal(0.0, 4.0, crack.shape)
    for finder in (ridge, darkest):
        assert score(CrackReader(finder), picture, crack).is_right


def test_scenes_depend_on_their_seed_alone_and_say_where_the_crack_is() -> None:
    kind = SceneKind(size=96, empty=0.5)
    first, again = (scene(np.random.default_rng(3), kind) for _ in range(2))
    assert np.array_equal(first.picture, again.picture)
    found = scenes(0, 0, 12, [np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 1.0]])], kind)
    assert 0 < sum(not s.crack.any() for s in found) < 12
    for s in found:
        assert s.picture.shape == (96, 96)
        if s.path is not None:
            y, x = s.path[:, 1].astype(int), s.path[:, 0].astype(int)
            assert s.crack[y, x].mean() > 0.8


def test_the_network_is_small_and_some_steps_of_training_lower_its_loss() -> None:
    net = network(0)
    assert parameters(net) <= 100_000
    batch = as_examples(scenes(0, 0, 4, (), SceneKind(size=64)))
    adam = torch.optim.Adam(net.parameters(), lr=3e-3)
    values = []
    for _ in range(12):
        adam.zero_grad()
        value = loss(net, batch)
        value.backward()  # type: ignore[no-untyped-call]
        adam.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.9 * values[0]


@pytest.mark.parametrize("shape", [(32, 40), (61, 45)])
def test_chances_have_the_shape_of_the_picture_whatever_its_shades(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).random(shape)
    net = SegmentationNetwork()
    chances = probability(net, picture)
    assert chances.shape == shape
    assert ((chances >= 0.0) & (chances <= 1.0)).all()
    assert standardised(5.0 + 300.0 * picture) == pytest.approx(standardised(picture), abs=1e-3)


def test_a_summary_counts_what_was_trusted_wrongly() -> None:
    crack, other = line((5, 60), (150, 60)) > 0, line((5, 20), (150, 20)) > 0
    picture = shades(crack)
    reader = known(crack.astype(float))
    found = summary(
        [score(reader, picture, truth) for truth in (crack, other, np.zeros_like(crack))]
    )
    assert found["trusted"] == 1.0
    assert found["trusted_wrongly"] == pytest.approx(2.0 / 3.0)
    assert found["trusted_empty"] == 1.0
    assert found["length_error_median"] == found["end_error_median"] == 0.0
