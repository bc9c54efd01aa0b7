"""The reference as a network that is run call by call in float64, and how far rounding may take each layer.

Takes a captured `Graph` and samples. Knows no candidate.
"""
