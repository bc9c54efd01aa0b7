"""From programs to the bytes of a ``.tflite`` file, in any precision.

The only folder that touches ``tf.lite``, and ``litert-converter``, the other route to a file. Takes programs, a
precision and calibration samples. Gives a file whose inputs and outputs have the model's names and order, that keeps
its contract and says where it came from.
"""
