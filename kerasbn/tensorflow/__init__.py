"""The TensorFlow kernels under both layers: the fused operation, what takes its place where it is slow or coarse.

Takes tensors and axes, gives the normalized batch and its statistics, or their gradients. Knows no layer and no
weight. Every other backend of Keras 3 computes `kerasbn.normalization` in plain operations.
"""
