"""YOLO11's loss, assignment, suppression and mAP: against plain loops, and kyolo where it is installed."""

import numpy as np
import pytest

from kerasbn.flavour import KERAS
from kerasbn_models.yolo11 import (
    Detections,
    anchor_points,
    assign,
    detect,
    detection_loss,
    mean_average_precision,
    padded_labels,
)
from kerasbn_models.yolo11.boxes import complete_iou, intersection_over_union
from kerasbn_models.yolo11.loss import distribution_focal_loss

SIZE = (64, 96)
POINTS, STRIDES = anchor_points(SIZE)


def numbers(tensor):
    return KERAS.keras.ops.convert_to_numpy(tensor)


def random_boxes(rng, count):
    corner = rng.uniform(0, 40, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(8, 50, (count, 2))], -1).astype("float32")


def some_labels(rng):
    boxes = [random_boxes(rng, 4), random_boxes(rng, 1), random_boxes(rng, 0)]
    return padded_labels(boxes, [rng.integers(0, 3, len(each)) for each in boxes])


def logits(rng, images=3):
    return rng.normal(size=(images, len(POINTS), 67)).astype("float32")


def decoded(raw):
    shares = np.exp(raw[..., :64].reshape(*raw.shape[:2], 4, 16).astype("float64"))
    reach = (shares / shares.sum(-1, keepdims=True)) @ np.arange(16) * STRIDES
    return np.concatenate([POINTS - reach[..., :2], POINTS + reach[..., 2:]], -1).astype("float32")


def test_labels_are_padded_with_class_minus_one():
    labels = padded_labels([np.array([[1, 2, 3, 4]]), np.zeros((0, 4)), np.array([[5, 6, 7, 8], [0, 0, 1, 1]])])
    assert labels[..., 0].tolist() == [[0, -1], [-1, -1], [0, 0]]
    assert labels[2, 0, 1:].tolist() == [5, 6, 7, 8]
    assert padded_labels([np.zeros((0, 4))]).shape == (1, 1, 5)


def test_overlaps():
    first = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]], "float32")
    second = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10], [0, 0, 10, 5]], "float32")
    np.testing.assert_allclose(numbers(intersection_over_union(first, second)), [1, 1 / 3, 0, 0.5], atol=1e-6)
    v = 4 / np.pi**2 * (np.arctan2(10, 5) - np.arctan2(10, 10)) ** 2
    expected = [1, 1 / 3 - 25 / 325, -400 / 1000, 0.5 - 6.25 / 200 - v * v / (v + 0.5)]
    np.testing.assert_allclose(numbers(complete_iou(first, second)), expected, atol=1e-6)


def test_distances_are_learned_as_two_bins():
    certain = np.full((1, 3, 4, 16), -50, "float32")
    certain[0, 0, :, 3], certain[0, 1, :, 3], certain[0, 1, :, 4], certain[0, 2, :, 14] = 50, 0, 0, 50
    distances = np.array([[[3.0] * 4, [3.5] * 4, [99.0] * 4]], "float32")
    found = numbers(distribution_focal_loss(certain, distances))[0]
    np.testing.assert_allclose(found[:2], [0, np.log(2)], atol=1e-5)
    assert 90 < found[2] < 100  # cut to 14.99: the last bin has nearly all the weight


def loop_assignment(scores, boxes, labels, candidates=10):
    """The docstring of the module, one object and one anchor at a time."""
    target_boxes, target_scores = np.zeros((len(POINTS), 4)), np.zeros_like(scores)
    objects = [row for row in labels if row[0] >= 0]
    alignment, overlap = np.zeros((2, len(objects), len(POINTS)))
    taken = np.zeros((len(objects), len(POINTS)), bool)
    for m, (kind, *box) in enumerate(objects):
        inside = np.all(np.sign(POINTS - box[:2]) * np.sign(box[2:] - POINTS) > 0, -1)
        truth = np.tile(np.array(box, "float32"), (len(POINTS), 1))
        overlap[m] = np.maximum(numbers(complete_iou(truth, boxes)), 0) * inside
        alignment[m] = scores[:, int(kind)] ** 0.5 * overlap[m] ** 6
        best = np.argsort(-alignment[m], kind="stable")[:candidates]
        taken[m, best] = alignment[m, best] > 0
    for a in range(len(POINTS)):
        if taken[:, a].sum() > 1:
            taken[:, a] = np.arange(len(objects)) == overlap[:, a].argmax()
    for m, (kind, *box) in enumerate(objects):
        if taken[m].any():
            mine = alignment[m] / (alignment[m, taken[m]].max() + 1e-9) * overlap[m, taken[m]].max()
            target_boxes[taken[m]] = box
            target_scores[taken[m], int(kind)] = mine[taken[m]]
    return target_boxes, target_scores


def test_assignment_is_what_its_docstring_says(rng):
    labels, raw = some_labels(rng), logits(rng)
    scores, boxes = 1 / (1 + np.exp(-raw[..., 64:])), decoded(raw)
    target_boxes, target_scores = (numbers(each) for each in assign(scores, boxes, labels, POINTS))
    assert (target_scores > 1e-3).sum() > 10
    for image in range(3):
        expected_boxes, expected_scores = loop_assignment(scores[image], boxes[image], labels[image])
        np.testing.assert_allclose(target_scores[image], expected_scores, atol=1e-5)
        used = expected_scores.max(-1) > 0
        np.testing.assert_allclose(target_boxes[image][used], expected_boxes[used], atol=1e-5)
    assert not target_scores[2].any()  # the image without objects


def gradient_descent(flavour, labels, steps):
    """Raw outputs that are trained as if they were weights."""
    tensorflow = pytest.importorskip("tensorflow")
    start = np.zeros((len(labels), len(POINTS), 67), "float32")
    start[..., 64:] = -4
    raw = tensorflow.Variable(start)
    optimizer = flavour.keras.optimizers.Adam(0.2)
    loss = detection_loss(3, SIZE)

    @tensorflow.function
    def step():
        with tensorflow.GradientTape() as tape:
            value = tensorflow.reduce_mean(loss(labels, raw))
        optimizer.apply_gradients([(tape.gradient(value, raw), raw)])
        return value

    losses = [float(step()) for _ in range(steps)]
    return losses, raw.numpy()


def test_the_loss_teaches_boxes_and_classes(keras_flavour):
    boxes = [np.array([[8, 8, 40, 40], [50, 10, 90, 50]], "float32"), np.array([[20, 30, 60, 60]], "float32")]
    labels = padded_labels(boxes, [np.array([0, 2]), np.array([1])])
    losses, raw = gradient_descent(keras_flavour, labels, 120)
    assert losses[-1] < 0.4 * losses[0]
    found = detect(decoded(raw), 1 / (1 + np.exp(-raw[..., 64:])), confidence=0.5)
    assert mean_average_precision(found, labels) == pytest.approx(1)
    assert sorted(found[0].kinds.tolist()) == [0, 2]
    np.testing.assert_allclose(found[1].boxes, boxes[1], atol=2)


def test_the_loss_is_finite_and_works_in_fit(keras_flavour, rng):
    keras = keras_flavour.keras
    image = keras.Input((4,))
    raw = keras.layers.Reshape((len(POINTS), 67))(keras.layers.Dense(len(POINTS) * 67)(image))
    model = keras.Model(image, raw)
    model.compile(keras.optimizers.Adam(0.01), detection_loss(3, SIZE), jit_compile=False)
    x = np.eye(3, 4, dtype="float32")
    losses = model.fit(x, some_labels(rng), epochs=25, verbose=0).history["loss"]
    assert np.all(np.isfinite(losses))
    assert losses[-1] < losses[0]
    values = numbers(detection_loss(3, SIZE)(some_labels(rng), model.predict(x, verbose=0)))
    assert values.shape == (3,)
    extreme = np.where(rng.random((3, len(POINTS), 67)) < 0.5, 1e4, -1e4).astype("float32")
    assert np.all(np.isfinite(numbers(detection_loss(3, SIZE)(some_labels(rng), extreme))))


def test_suppression_keeps_the_surest_of_each_class():
    boxes = np.array([[[0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10], [40, 40, 50, 50], [5, 5, 6, 6]]], "float32")
    scores = np.array([[[0.8, 0], [0.9, 0.1], [0, 0.7], [0.3, 0], [0.1, 0.2]]], "float32")
    (found,) = detect(boxes, scores, confidence=0.25, overlap=0.7)
    np.testing.assert_array_equal(found.boxes, boxes[0, [1, 2, 3]])
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.3])
    assert found.kinds.tolist() == [0, 1, 0]
    assert len(detect(boxes, scores, most=1)[0]) == 1
    assert len(detect(boxes, scores, overlap=0.9)[0]) == 4
    assert len(detect(boxes, scores, confidence=0.95)[0]) == 0


def test_mean_average_precision():
    labels = padded_labels([np.array([[0, 0, 10, 10], [20, 20, 30, 30]]), np.array([[0, 0, 10, 10]])])

    def of(*boxes_and_scores):
        boxes = np.array([box for box, _ in boxes_and_scores], "float32").reshape(-1, 4)
        return Detections(boxes, np.array([s for _, s in boxes_and_scores]), np.zeros(len(boxes), int))

    first, second, wrong = [0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]
    perfect = [of((first, 0.9), (second, 0.8)), of((first, 0.7))]
    assert mean_average_precision(perfect, labels) == pytest.approx(1)
    twice = [of((first, 0.9), (first, 0.85)), of((first, 0.7))]  # right, wrong, right: 1/3 + 2/3 * 1/3
    assert mean_average_precision(twice, labels) == pytest.approx(1 / 3 + 2 / 9)
    assert mean_average_precision([of((wrong, 0.9)), of()], labels) == 0
    loose = [of(([0, 0, 10, 6], 0.9)), of()]
    assert mean_average_precision(loose, labels, overlap=0.5) == pytest.approx(1 / 3)
    assert mean_average_precision(loose, labels, overlap=0.7) == 0
    assert mean_average_precision([], np.zeros((0, 1, 5))) == 0


class TestAgainstKyolo:
    @pytest.fixture(autouse=True)
    def _kyolo(self):
        pytest.importorskip("kyolo", reason="kyolo, the oracle, is not installed")

    def test_loss(self, rng):
        from kyolo.losses.detection_loss import YOLODetectionLoss

        labels, raw = some_labels(rng), logits(rng)
        raw[..., :64] -= 0.6 * np.tile(np.arange(16), 4)  # boxes as large as the objects: kyolo drops alignments < 1e-9
        features, start = [], 0
        for stride in (8, 16, 32):
            rows, columns = SIZE[0] // stride, SIZE[1] // stride
            part = raw[:, start : start + rows * columns]
            features.append(part.reshape(3, rows, columns, 67))
            start += rows * columns
        targets = {
            "boxes": labels[..., 1:],
            "labels": np.maximum(labels[..., 0], 0).astype("int32"),
            "mask": (labels[..., 0] >= 0).astype("float32"),
        }
        theirs = YOLODetectionLoss(nc=3, data_format="channels_last")(features, targets)
        ours = np.mean(numbers(detection_loss(3, SIZE)(labels, raw)))
        np.testing.assert_allclose(ours, numbers(theirs["loss"]), rtol=1e-4)

    def test_suppression(self, rng):
        from kyolo.postprocessing.nms import batched_nms

        boxes = random_boxes(rng, 200)[None]
        scores = rng.random((1, 200, 3)).astype("float32")
        (found,) = detect(boxes, scores, confidence=0.6, overlap=0.5)
        theirs = numbers(batched_nms(boxes, scores.max(-1), scores.argmax(-1), 0.5, 300, 0.6))[0]
        theirs = theirs[theirs[:, 4] > 0]
        assert 5 < len(theirs) < 200
        np.testing.assert_allclose(found.boxes, theirs[:, :4], rtol=1e-6)
        np.testing.assert_array_equal(found.kinds, theirs[:, 5])
