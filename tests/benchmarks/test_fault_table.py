"""`benchmarks/fault_table.py` in small: what is wrong inside a layer of several operations, and reaches no output."""

import sys

import fault_table
import pytest


@pytest.mark.parametrize(
    ("models", "faults"),
    [
        (["signal"], ["calibrated on too little"]),
        (["residual"], ["requantisation left out"]),
        (["both_ways"], ["kernel turned round", "first scale for all channels", "kernel read as unsigned"]),
    ],
)
def test_every_fault_is_caught_on_the_right_layer(keras_flavour, monkeypatch, models, faults):
    options = ["--int8", "--ours", "--backend", "builtin", "--keras", keras_flavour.name, "--checks"]
    monkeypatch.setattr(sys, "argv", ["fault_table.py", *options, "--models", *models, "--faults", *faults])
    assert fault_table.main() == 0
