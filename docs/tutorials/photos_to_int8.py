"""From a classifier with augmentation to an int8 file that is proved to be right.

The network is that of the Keras guide "Image classification from scratch", made small. Run it in an empty folder:
``python photos_to_int8.py``. It needs scikit-learn, which ``pip install 'kerasbn[demo]'`` brings.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from keras import layers
from sklearn.datasets import load_digits

from kerasbn_export import export_tflite, fold, verify

# 1. Photos. Any uint8 images do; here the digits of scikit-learn stand in, enlarged to 24 x 24 pixels.

keras.utils.set_random_seed(0)
digits = load_digits()
photos = digits.images.repeat(3, axis=1).repeat(3, axis=2)[..., None] * (255 / 16)
photos = photos.astype("float32")
train, test = photos[:1400], photos[1400:]
train_labels, test_labels = digits.target[:1400], digits.target[1400:]

# 2. The network. Augmentation and Rescaling are layers of the model, as in the guide. BatchNorms stand behind
#    separable convolutions, and one in front of a skip connection.


def block(x, filters):
    """Two separable convolutions, and a skip connection."""
    skip = layers.Conv2D(filters, 1, strides=2, padding="same")(x)
    for _ in range(2):
        x = layers.Activation("relu")(x)
        x = layers.SeparableConv2D(filters, 3, padding="same")(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    return layers.add([x, skip])


inputs = keras.Input((24, 24, 1), name="photo")
x = layers.RandomRotation(0.03)(inputs)
x = layers.RandomTranslation(0.05, 0.05)(x)
x = layers.Rescaling(1 / 255)(x)
x = layers.Conv2D(16, 3, strides=2, padding="same")(x)
x = layers.BatchNormalization(momentum=0.9)(x)
x = layers.Activation("relu")(x)
x = block(x, 32)
x = block(x, 64)
x = layers.GlobalAveragePooling2D()(x)
x = layers.Dropout(0.2)(x)
model = keras.Model(inputs, layers.Dense(10, name="scores")(x))

loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(0.003), loss, metrics=["accuracy"])
model.fit(train, train_labels, batch_size=32, epochs=4, verbose=0)

# 3. What folds? Each BatchNorm has a verdict. The augmentation does nothing at inference, so it is left out.

print(fold(model, precision="int8"))

# 4. Export. The samples are training photos, as the model takes them: from 0 to 255. It rescales them itself.

result = export_tflite(model, "photos.tflite", precision="int8", calibration=train[:200], io_dtype="uint8")
print(result)

# 5. Verify on photos that neither training nor calibration has seen.

report = verify(model, "photos.tflite", data=test[:100])
print(report)
assert report, "the file does not compute what the model computes"

# 6. Accuracy of both. The file takes the bytes of a photo, and gives bytes.

interpreter = Interpreter("photos.tflite")
run = interpreter.get_signature_runner()
guesses = [int(run(photo=photo[None].astype("uint8"))["scores"].argmax()) for photo in test]
of_model = float(np.mean(model.predict(test, verbose=0).argmax(-1) == test_labels))
of_file = float(np.mean(np.array(guesses) == test_labels))
print(f"accuracy: model {of_model:.3f}, int8 file {of_file:.3f}, {os.path.getsize('photos.tflite'):,} bytes")
assert of_model > 0.8
assert of_file > of_model - 0.02
