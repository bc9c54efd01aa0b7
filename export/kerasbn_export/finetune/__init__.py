"""From a float model and samples to the int8 file of a model that was trained for it.

Takes what `quantize_aware` takes, and labels if there are any. Gives a file, and what it is worth on samples kept out
beside the file without training. Orders the work of `quantization` and `export`.
"""
