"""The layers of quantization-aware training, for both Kerases: ranges, kernels on grids, a model with a teacher.

Takes tensors of TensorFlow. Gives layers that train, are saved and are read like any other; `kerasbn.keras` and
`kerasbn.tf_keras` register them. Knows no graph and no file: `kerasbn_export.quantize_aware` puts them into a model.
"""
