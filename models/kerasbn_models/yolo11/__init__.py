"""YOLO11 for both Kerases: the network, its weights, its loss, and detections from its outputs."""

from kerasbn_models.yolo11.assignment import assign
from kerasbn_models.yolo11.detections import Detections, detect, mean_average_precision
from kerasbn_models.yolo11.head import anchor_points, decode, with_head
from kerasbn_models.yolo11.loss import detection_loss, padded_labels
from kerasbn_models.yolo11.network import yolo11
from kerasbn_models.yolo11.weights import load_ultralytics, size_of, ultralytics_shapes

__all__ = [
    "Detections",
    "anchor_points",
    "assign",
    "decode",
    "detect",
    "detection_loss",
    "load_ultralytics",
    "mean_average_precision",
    "padded_labels",
    "size_of",
    "ultralytics_shapes",
    "with_head",
    "yolo11",
]
