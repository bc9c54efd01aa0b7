"""The route through LiteRT's own packages: from a SavedModel through StableHLO to a ``.tflite`` file.

``respell`` writes operations in a form that the converter spells well, ``lower`` gives the StableHLO, ``passes`` runs
the converter in a process without TensorFlow, and ``route`` joins them. ``quantize`` makes the other precisions of its
file, by ``rules``.
"""
