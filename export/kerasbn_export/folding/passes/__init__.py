"""Passes rewrite a whole graph; each module is one pass, its docstring the equation and its condition.

A pass takes the graph and the ledger and changes both, or leaves them as they were. `kerasbn_export.folding.engine`
gives their order. A pass may ask rules; no rule knows a pass.
"""
