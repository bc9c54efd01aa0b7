"""One signature of a ``.tflite`` file that has several, as a file of its own: every runtime runs the first."""

from __future__ import annotations

from kerasbn.errors import InvalidArgumentError, ModelFileError
from kerasbn_export.ends import SERVING
from kerasbn_export.files.reading import reading
from kerasbn_export.tflite.flatbuffer import check_identifier, parse, schema, serialize


def signature_names(content: bytes, label: str) -> tuple[str, ...]:
    """The names of the signatures of a file.

    Raises:
        ModelFileError: The bytes are no .tflite model.
    """
    check_identifier(content, label)
    with reading(label, "a damaged .tflite file", ModelFileError):
        model = schema().Model.GetRootAs(content, 0)
        keys = [model.SignatureDefs(index).SignatureKey() for index in range(model.SignatureDefsLength())]
        return tuple((key or b"").decode() for key in keys)


def chosen(names: tuple[str, ...], signature: str | None, label: str) -> str:
    """The signature to take: the one asked for, the only one, or ``serving_default``; empty where there is none.

    Raises:
        InvalidArgumentError: It is not there, or none was asked for and several are there.
    """
    if signature is not None and names and signature not in names:
        raise InvalidArgumentError(f"{label}: has no signature {signature!r}; it has {', '.join(sorted(names))}.")
    if signature is None and len(names) > 1 and SERVING not in names:
        raise InvalidArgumentError(
            f"{label}: has the signatures {', '.join(sorted(names))}; choose one with signature= (on the command line: "
            "--signature)."
        )
    taken = signature or (SERVING if SERVING in names else "".join(names))
    return taken if names else ""


def only_signature(content: bytes, name: str) -> bytes:
    """The file with one of its signatures, whose subgraph comes first.

    Args:
        content: The file.
        name: The signature.
    """
    model = parse(content)
    model.signatureDefs = [found for found in model.signatureDefs if found.signatureKey.decode() == name]
    model.subgraphs[0] = model.subgraphs[model.signatureDefs[0].subgraphIndex]  # no operation calls a main subgraph
    model.signatureDefs[0].subgraphIndex = 0
    return serialize(model)
