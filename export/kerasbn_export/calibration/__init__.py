"""What the ranges of a quantized file are measured on.

Takes whatever a user has: arrays, files, a folder of images, a generator. Gives a `Calibration`: one checked array per
input. ``data_free`` makes samples from the BatchNorms where there are none.
"""
