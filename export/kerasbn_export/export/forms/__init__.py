"""Forms of a quantized file: equal in real numbers, not equal once they are rounded.

Takes a model and samples, converts the forms, measures each, and keeps the best.
"""
