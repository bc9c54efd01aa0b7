"""YOLO11 for both Kerases: the network, its weights, its loss, and detections from its outputs."""

from kerasbn_models.yolo11.head import anchor_points, decode, with_head
from kerasbn_models.yolo11.network import yolo11
from kerasbn_models.yolo11.weights import load_ultralytics, size_of, ultralytics_shapes

__all__ = [
    "anchor_points",
    "decode",
    "load_ultralytics",
    "size_of",
    "ultralytics_shapes",
    "with_head",
    "yolo11",
]
