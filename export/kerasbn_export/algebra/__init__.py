"""The mathematics of folding: pure numpy in float64.

Takes arrays and options, gives arrays: `Affine` with compose, split and inverse, and for each kind of linear layer
which axes its channels are on. Knows no graph, no Keras and no file.
"""
