"""What a model file says about itself before it is loaded: its format, the Keras that wrote it, its layers."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbn.errors import ModelFileError
from kerasbn.flavour import KERAS, TF_KERAS, Flavour
from kerasbn_export.files.reading import check_memory, read_json, reading
from kerasbn_export.loading.config_limits import check_config
from kerasbn_export.loading.saved_model import keras_metadata

ACCEPTED = "a .keras file, a .h5/.hdf5 file or a SavedModel folder written by Keras 2 or Keras 3"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class ModelFile:
    """A model file that has been looked at but not loaded.

    Attributes:
        path: Where it is.
        format: ``"keras"``, ``"h5"`` or ``"saved_model"``.
        flavour: The Keras that wrote it, and that will load it.
        configs: The descriptions of its layers, as JSON values.
    """

    path: Path
    format: str
    flavour: Flavour
    configs: tuple[Any, ...]


def read_model_file(path: str | Path) -> ModelFile:
    """Finds out what a model file is.

    Args:
        path: A ``.keras`` file, a ``.h5``/``.hdf5`` file or a SavedModel folder.

    Raises:
        ModelFileError: There is nothing at the path, or it is no Keras model, or its suffix belies its content.
    """
    path = Path(path)
    with reading(path, "cannot be read", ModelFileError, missing=f"no such file or folder; a model is {ACCEPTED}"):
        if path.is_dir():
            file = _read_folder(path)
        else:
            with path.open("rb") as opened:
                head = opened.read(16)
            file = _read_file(path, head)
    with reading(path, "no model can be made of it", ModelFileError):
        for config in file.configs:
            check_config(config)
    return file


def _read_file(path: Path, head: bytes) -> ModelFile:
    if head.startswith(b"PK"):
        _check_suffix(path, "a zip archive, as .keras files are", (".keras",))
        return _read_archive(path)
    if head.startswith(HDF5_SIGNATURE):
        _check_suffix(path, "an HDF5 file", (".h5", ".hdf5"))
        return _read_hdf5(path)
    raise ModelFileError(f"{path}: no Keras model, it is {_describe(head)}; accepted: {ACCEPTED}.")


def _describe(head: bytes) -> str:
    if not head:
        return "empty"
    if head[4:8] == b"TFL3":
        return "a .tflite file, and the layers of a finished .tflite cannot be read back"
    if head[:2] == b"\x08\x01":
        return "perhaps a protobuf; of a SavedModel give the folder, not the file"
    return f"a file that begins with {head[:8]!r}"


def _check_suffix(path: Path, found: str, suffixes: tuple[str, ...]) -> None:
    # Keras chooses its reader by the suffix, so a wrong one would end in an unrelated message.
    if path.suffix.lower() not in suffixes:
        raise ModelFileError(
            f"{path}: the content is {found}, but the name ends in {path.suffix or 'no suffix'!r}; "
            f"rename it to {path.stem}{suffixes[0]}."
        )


def _read_archive(path: Path) -> ModelFile:
    with reading(path, "the archive is damaged or cut short", ModelFileError), zipfile.ZipFile(path) as archive:
        check_memory(sum(member.file_size for member in archive.infolist()))
        for member in ("metadata.json", "config.json"):
            if member not in archive.namelist():
                raise ModelFileError(f"{path}: a zip archive, but no Keras model: it has no {member}.")
        metadata, config = (read_json(archive.read(member)) for member in ("metadata.json", "config.json"))
    if not isinstance(metadata, dict) or "keras_version" not in metadata:
        raise ModelFileError(f"{path}: a zip archive, but no Keras model: its metadata.json has no keras_version.")
    description = {**_checked(path, config), "compile_config": None}  # never used: loading does not compile
    return ModelFile(path, "keras", _flavour_by_version(str(metadata["keras_version"])), (description,))


def _checked(path: Path, config: Any) -> dict[str, Any]:
    """The description, if it is one of an object of Keras."""
    if isinstance(config, dict) and isinstance(config.get("class_name"), str):
        return config
    raise ModelFileError(f"{path}: no Keras model: its description names no class, as every one of a model does.")


def _read_hdf5(path: Path) -> ModelFile:
    import h5py

    with reading(path, "the HDF5 file is damaged or cut short", ModelFileError), h5py.File(path, "r") as file:
        config, version = file.attrs.get("model_config"), file.attrs.get("keras_version", b"2")
        weights_only = config is None and ("layer_names" in file.attrs or "layers" in file)
    if config is None:
        found = "it holds weights only; save the whole model" if weights_only else "it has no model_config"
        raise ModelFileError(f"{path}: an HDF5 file, but no Keras model: {found}.")
    with reading(path, "its model_config is no valid JSON", ModelFileError):
        description = _checked(path, read_json(config))
        version = version.decode() if isinstance(version, bytes) else str(version)
    return ModelFile(path, "h5", _flavour_by_version(version), (description,))


def _read_folder(path: Path) -> ModelFile:
    if not (path / "saved_model.pb").is_file():
        raise ModelFileError(f"{path}: a folder without saved_model.pb, so no SavedModel; accepted: {ACCEPTED}.")
    metadata = keras_metadata(path)
    if not metadata:
        raise ModelFileError(
            f"{path}: a SavedModel that carries no Keras layers (made by model.export(), tf.saved_model.save() or "
            "another tool): there is nothing to fold in it. Save the Keras model itself with model.save('m.keras')."
        )
    return ModelFile(path, "saved_model", TF_KERAS, metadata)


def _flavour_by_version(version: str) -> Flavour:
    return TF_KERAS if version.partition(".")[0] in {"0", "1", "2"} else KERAS
