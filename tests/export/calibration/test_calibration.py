"""Calibration data in every form become one array per input, or are refused before anything slow."""

import numpy as np
import pytest

from kerasbn.errors import CalibrationError
from kerasbn_export.calibration.samples import read_calibration
from kerasbn_export.ends import ModelInput

IMAGE = ModelInput("image", (1, 4, 4, 3), "float32")
AGE = ModelInput("age", (None, 2), "float32")
IDS = ModelInput("ids", (None, 6), "int32")
N = 5


@pytest.fixture
def images(rng):
    return rng.normal(size=(N, 4, 4, 3)).astype("float32")


@pytest.fixture
def ages(rng):
    return rng.normal(size=(N, 2)).astype("float32")


def dataset(images, ages):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((images, ages)).batch(2)


FORMS = {
    "list": lambda images, ages: [images, ages],
    "dict in another order": lambda images, ages: {"age": ages, "image": images},
    "generator of lists": lambda images, ages: ([i, a] for i, a in zip(images, ages, strict=True)),
    "generator of batches": lambda images, ages: ([images[i : i + 2], ages[i : i + 2]] for i in range(0, N, 2)),
    "generator of dicts": lambda images, ages: ({"image": i, "age": a} for i, a in zip(images, ages, strict=True)),
    "function": lambda images, ages: lambda: zip(images, ages, strict=True),
    "dataset": dataset,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_samples(form, images, ages):
    calibration = read_calibration(FORMS[form](images, ages), [IMAGE, AGE])
    assert len(calibration) == N
    np.testing.assert_array_equal(calibration.arrays[0], images)
    np.testing.assert_array_equal(calibration.arrays[1], ages)


def test_one_input_takes_the_array_itself(images):
    calibration = read_calibration(images, [IMAGE])
    np.testing.assert_array_equal(calibration.arrays[0], images)
    assert calibration.source == "array"


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float64"])
def test_numbers_are_cast_to_the_dtype_of_the_input(dtype, images):
    calibration = read_calibration((images * 10).astype(dtype), [IMAGE])
    assert calibration.arrays[0].dtype == np.float32


def test_batches_have_exactly_their_size(images):
    calibration = read_calibration(images, [IMAGE])
    batches = [arrays[0] for arrays in calibration.batches(2)]
    assert [len(batch) for batch in batches] == [2, 2, 2]
    np.testing.assert_array_equal(np.concatenate(batches)[:N], images)


def test_an_endless_generator_is_cut_at_the_limit():
    def forever():
        while True:
            yield np.arange(48).reshape(4, 4, 3)

    assert len(read_calibration(forever, [IMAGE], limit=7)) == 7


def test_random_numbers_come_only_by_name_and_from_the_seed():
    first, same, other = (read_calibration("random", [IMAGE], seed=seed) for seed in (1, 1, 2))
    assert first.source == "random"
    assert str(other) == "100 random number samples (seed 2)"
    np.testing.assert_array_equal(first.arrays[0], same.arrays[0])
    assert not np.array_equal(first.arrays[0], other.arrays[0])


def spoiled(images, value):
    images = images.copy()
    images[3, 1, 1, 1] = value
    return images


BAD = {
    "none": (lambda _: None, [IMAGE], 'No calibration data were given; accepted: .*"data-free" or "random"'),
    "made of nothing": (lambda _: "data-free", [IMAGE], "makes its samples from a model"),
    "word": (lambda _: "gaussian", [IMAGE], "'gaussian' is not known"),
    "number": (lambda _: 3, [IMAGE], "type int are not understood"),
    "shape": (lambda images: images[:, :3], [IMAGE], r"shape \(n, 3, 4, 3\); .*'image' of shape \(n, 4, 4, 3\)"),
    "rank": (lambda images: images[0], [IMAGE], r"shape \(n, 4, 3\); .* \(n, 4, 4, 3\)"),
    "text": (lambda images: images.astype(str), [IMAGE], "are <U32; the model wants input 'image'"),
    "float ids": (lambda _: np.ones((N, 6)), [IDS], "are float64; the model wants input 'ids' .* int32"),
    "nan": (lambda images: spoiled(images, np.nan), [IMAGE], "hold NaN or infinity, first in row 3"),
    "infinity": (lambda images: spoiled(images, np.inf), [IMAGE], "hold NaN or infinity, first in row 3"),
    "empty": (lambda images: images[:0], [IMAGE], "are empty"),
    "empty generator": (lambda _: iter(()), [IMAGE], "yields no samples"),
    "too few inputs": (lambda images: [images], [IMAGE, AGE], "hold 1 array; the model has 2 inputs: input 'image'"),
    "too many inputs": (lambda images: [images, images], [IMAGE], "hold 2 arrays; the model has 1 input"),
    "names": (lambda images: {"picture": images}, [IMAGE], r"named \['picture'\]; the model's inputs are \['image'\]"),
    "lengths": (lambda images: [images, np.ones((3, 2))], [IMAGE, AGE], "different numbers .*'image': 5, 'age': 3"),
    "late shape": (lambda images: iter([images[0], images[1, :2]]), [IMAGE], r"sample 1 have shape .*wants"),
    "late nan": (lambda images: iter(spoiled(images, np.nan)), [IMAGE], "sample 3 for input 'image'"),
    "constant": (lambda images: np.full_like(images, 3), [IMAGE], "are constant: no range can be measured"),
    "random ids": (lambda _: "random", [IDS], "needs a fixed shape and a float dtype; found input 'ids'"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused_with_both_sides(case, images):
    make, inputs, message = BAD[case]
    with pytest.raises(CalibrationError, match=message) as caught:
        read_calibration(make(images), inputs)
    assert caught.value.exit_code == 2


def write_image(path, pixels):
    import tensorflow as tf

    path.parent.mkdir(exist_ok=True)
    path.write_bytes(tf.io.encode_png(pixels).numpy())


def test_a_folder_of_images_is_read_by_the_stated_rule(tmp_path, rng):
    pixels = rng.integers(0, 256, size=(2, 4, 4, 3), dtype=np.uint8)
    write_image(tmp_path / "b" / "second.png", pixels[1])
    write_image(tmp_path / "a" / "first.PNG", pixels[0])
    (tmp_path / "notes.txt").write_text("no image")
    calibration = read_calibration(tmp_path, [IMAGE], image_range=(-1, 1))
    np.testing.assert_allclose(calibration.arrays[0], pixels / 127.5 - 1, atol=1e-6)
    assert str(calibration) == f"2 samples from the images in {tmp_path.name}"


def test_images_are_resized_and_get_the_channels_of_the_input(tmp_path):
    for value in (51, 255):
        write_image(tmp_path / "x" / f"grey{value}.png", np.full((9, 5, 1), value, np.uint8))
    calibration = read_calibration(tmp_path / "x", [IMAGE], image_range=(0, 1))
    assert calibration.arrays[0].shape == (2, 4, 4, 3)
    np.testing.assert_allclose(calibration.arrays[0], np.broadcast_to([[[[1.0]]], [[[0.2]]]], (2, 4, 4, 3)), atol=1e-6)


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_an_image_of_other_proportions(tmp_path, resize):
    """White between two black bars: cut off by ``crop``, beside black bars of its own with ``pad``."""
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, 4:12] = 255
    write_image(tmp_path / "x" / "wide.png", pixels)
    write_image(tmp_path / "x" / "xdark.png", np.zeros((4, 4, 3), np.uint8))
    wide = read_calibration(tmp_path / "x", [IMAGE], image_range=(0, 1), image_resize=resize).arrays[0][0, :, :, 0]
    if resize == "crop":
        np.testing.assert_allclose(wide, 1.0, atol=1e-6)
    elif resize == "pad":
        assert wide[[0, -1]].max() < 0.2 < 0.5 < wide[1:3, 1:3].min()
    else:
        assert wide[:, 0].max() < 0.5 < wide[:, 1:3].min()


@pytest.mark.parametrize(
    ("make", "inputs", "image_range", "message"),
    [
        (lambda _: None, [IMAGE], (0, 1), "holds no images; accepted: .bmp, .gif"),
        (lambda folder: (folder / "a.png").write_bytes(b"no"), [IMAGE], (0, 1), "a.png: cannot be decoded"),
        (lambda _: None, [IMAGE], None, r"say what the model was trained on: image_range=\(0, 1\).*--image-range"),
        (lambda _: None, [AGE], (0, 1), "input of shape .*; found input 'age'"),
        (lambda _: None, [IMAGE, AGE], (0, 1), "a model with one input; found input 'image' .*, input 'age'"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(make, inputs, image_range, message, tmp_path):
    make(tmp_path)
    with pytest.raises(CalibrationError, match=message):
        read_calibration(tmp_path, inputs, image_range=image_range)
