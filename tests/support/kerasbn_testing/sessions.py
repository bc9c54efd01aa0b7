"""A Keras as it was imported, between one test and the next."""

from __future__ import annotations

import gc

from kerasbn.flavour import Flavour


def start_anew(flavour: Flavour) -> None:
    """Clears the session of a Keras; what the tests before have left behind sits out later garbage collections.

    Keras 3 asks for a full one in every ``clear_session``: over all of TensorFlow, and what that keeps of each model,
    it took most of a second before every second test.
    """
    flavour.keras.backend.clear_session()
    if flavour.name == "keras":
        gc.freeze()
