"""A ``.tflite`` file as data: one reader and writer, its operations, its tensors, and the interpreter that runs it.

Takes bytes, and gives what is in them. Knows no Keras model and no verdict.
"""
