"""The route through LiteRT's own converter: from a SavedModel through StableHLO to a ``.tflite`` file, in float32.

``respell`` writes operations in a form that the converter spells well, ``lower`` gives the StableHLO, ``passes`` runs
the converter in a process without TensorFlow, and ``route`` joins them.
"""
