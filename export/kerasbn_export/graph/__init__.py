"""A model as data: calls of layers, the values between them, and what a layer stands for.

Takes nothing but plain values and weights as numpy arrays. Gives the `Graph` that every other folder speaks of, and
answers about one layer: is it a BatchNorm, which affine does it compute, which operation does it stand for. Knows no
Keras model: `kerasbn_export.capture` reads one, `kerasbn_export.emit` writes one.
"""
