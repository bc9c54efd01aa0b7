"""The whole way from a model to a ``.tflite`` file on disk.

Takes a model or its path and options. Gives the file and an `ExportResult`. It orders the work of the folders below:
load, fold, calibrate, convert, measure the forms of an int8 file, check.
"""
