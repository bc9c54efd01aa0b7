"""Signals, frames and volumes: the networks with a time axis."""

from __future__ import annotations

from typing import Any

from tutorial_networks.network import network


@network
def eeg_classification(keras: Any) -> Any:
    """Strided Conv1D, each with a BatchNorm behind its ReLU; a Dense head with Dropout."""
    layers = keras.layers
    inputs = keras.Input((64, 1))
    x = inputs
    for filters in (6, 8, 10):
        x = layers.Conv1D(filters, 3, strides=2, activation="relu", padding="same")(x)
        x = layers.BatchNormalization()(x)
    x = layers.Flatten()(layers.Dropout(0.2)(x))
    x = layers.Dropout(0.2)(layers.Dense(12, activation=layers.LeakyReLU())(x))
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


@network
def timeseries_classification(keras: Any) -> Any:
    """The fully convolutional network: Conv1D, BatchNorm, ReLU three times, global pooling."""
    layers = keras.layers
    inputs = keras.Input((40, 1))
    x = inputs
    for _ in range(3):
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv1D(8, 3, padding="same")(x)))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


@network
def timeseries_anomaly_detection(keras: Any) -> Any:
    """An autoencoder of Conv1D and Conv1DTranspose."""
    layers = keras.layers
    inputs = keras.Input((32, 1))
    x = layers.Conv1D(8, 7, padding="same", strides=2, activation="relu")(inputs)
    x = layers.Conv1D(6, 7, padding="same", strides=2, activation="relu")(layers.BatchNormalization()(x))
    x = layers.Conv1DTranspose(6, 7, padding="same", strides=2, activation="relu")(layers.BatchNormalization()(x))
    x = layers.Conv1DTranspose(8, 7, padding="same", strides=2, activation="relu")(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Conv1DTranspose(1, 7, padding="same")(layers.BatchNormalization()(x)))


@network
def speaker_recognition(keras: Any) -> Any:
    """Residual blocks of Conv1D with a maximum behind each."""
    layers = keras.layers
    inputs = keras.Input((64, 1))
    x = inputs
    for filters, count in ((6, 2), (8, 2), (10, 3)):
        beside = layers.Conv1D(filters, 1, padding="same")(x)
        for _ in range(count - 1):
            x = layers.Activation("relu")(layers.Conv1D(filters, 3, padding="same")(x))
        x = layers.BatchNormalization()(layers.Conv1D(filters, 3, padding="same")(x))
        x = layers.MaxPool1D(2, 2)(layers.Activation("relu")(layers.Add()([x, beside])))
    x = layers.Flatten()(layers.AveragePooling1D(3, 3)(x))
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(layers.Dense(8, activation="relu")(x)))


@network
def captcha_ocr(keras: Any) -> Any:
    """What the CTC network predicts with: convolutions, columns as time, two LSTMs in both directions."""
    layers = keras.layers
    inputs = keras.Input((32, 12, 1), name="image")
    x = inputs
    for index, filters in enumerate((6, 8)):
        x = layers.Conv2D(filters, 3, activation="relu", padding="same", name=f"Conv{index}")(x)
        x = layers.MaxPooling2D((2, 2), name=f"pool{index}")(layers.BatchNormalization()(x))
    x = layers.Dropout(0.2)(layers.Dense(12, activation="relu")(layers.Reshape((8, 24))(x)))
    x = layers.Bidirectional(layers.LSTM(6, return_sequences=True, dropout=0.25))(x)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True, dropout=0.25))(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(11, activation="softmax")(x))


@network
def ctc_asr(keras: Any) -> Any:
    """DeepSpeech2: Conv2D over a spectrogram, then GRUs in both directions."""
    layers = keras.layers
    inputs = keras.Input((20, 12), name="spectrogram")
    x = layers.Reshape((20, 12, 1))(inputs)
    for size in ((5, 5), (3, 5)):
        x = layers.Conv2D(6, size, strides=(2, 2), padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Reshape((5, 18))(x)
    x = layers.Bidirectional(layers.GRU(6, return_sequences=True))(x)
    x = layers.Dropout(0.5)(layers.ReLU()(layers.Dense(12)(x)))
    return keras.Model(inputs, layers.Dense(8, activation="softmax")(x))


@network
def next_frame_prediction(keras: Any) -> Any:
    """ConvLSTM2D with a BatchNorm behind each, Conv3D at the end."""
    layers = keras.layers
    inputs = keras.Input((4, 8, 8, 1))
    x = inputs
    for size in (5, 3):
        x = layers.ConvLSTM2D(4, size, padding="same", return_sequences=True, activation="relu")(x)
        x = layers.BatchNormalization()(x)
    return keras.Model(inputs, layers.Conv3D(1, 3, activation="sigmoid", padding="same")(x))


@network
def video_classification(keras: Any) -> Any:
    """A convolutional network on each frame, a GRU behind."""
    layers = keras.layers
    frame = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(6, 3, strides=2, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
        ]
    )
    inputs = keras.Input((5, 12, 12, 3))
    x = layers.GRU(8, return_sequences=True)(layers.TimeDistributed(frame)(inputs))
    x = layers.Dropout(0.4)(layers.GRU(4)(layers.BatchNormalization()(x)))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Dense(6, activation="relu")(x)))


@network
def computed_tomography(keras: Any) -> Any:
    """Conv3D with ReLU, maxima of volumes, a BatchNorm behind each."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 12, 1))
    x = inputs
    for filters in (6, 8):
        x = layers.Conv3D(filters, 3, activation="relu")(x)
        x = layers.BatchNormalization()(layers.MaxPool3D(2)(x))
    x = layers.Dropout(0.3)(layers.Dense(8, activation="relu")(layers.GlobalAveragePooling3D()(x)))
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


@network
def factorized_video(keras: Any) -> Any:
    """Conv3D as space and time apart, with residuals."""
    layers = keras.layers

    def factorized(x: Any, filters: int) -> Any:
        x = layers.Conv3D(filters, (1, 3, 3), padding="same")(x)
        return layers.Conv3D(filters, (3, 1, 1), padding="same")(x)

    inputs = keras.Input((4, 10, 10, 3))
    x = layers.ReLU()(layers.BatchNormalization()(factorized(inputs, 6)))
    y = layers.ReLU()(layers.LayerNormalization()(factorized(x, 8)))
    beside = layers.LayerNormalization()(layers.Dense(8)(x))
    x = layers.add([layers.BatchNormalization()(factorized(y, 8)), beside])
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(layers.GlobalAveragePooling3D()(x))))
