"""A model as a computation with named ends: all that conversion needs to know of it.

Takes a Keras model that is functional, Sequential or can only be run as a whole. Gives a `Program`, or a concrete
function of TensorFlow. Knows no file and no precision.
"""
