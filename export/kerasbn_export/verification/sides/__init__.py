"""The two sides of a comparison: anything that can be run, with named ends, on the same samples.

Takes a Keras model, a fold's result, a model file or a program. Gives a `Runnable`, the samples, and which input and
output is which. Judges nothing.
"""
