"""Quantization-aware training: a Keras model that computes what its int8 file will compute.

Takes a model and calibration samples. Gives an ordinary model of the same Keras, in which every tensor that the file
will quantize goes through a range, and every kernel lies on its grid. `tuned` reads such a model back for the export.
Knows capture, folding and emission; nothing of files.
"""
