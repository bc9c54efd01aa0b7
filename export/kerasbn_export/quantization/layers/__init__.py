"""The layers of quantization-aware training, for both Kerases: ranges, kernels on grids, a model with a teacher.

Takes tensors of TensorFlow and numbers of grids. Gives layers that train, are saved and are read like any other. Knows
no graph and no file.
"""
