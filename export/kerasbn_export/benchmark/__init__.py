"""How long files take and what memory they need, side by side.

Takes ``.tflite`` files. Gives ratios that were measured interleaved, so that a busy machine slows all alike.
"""
