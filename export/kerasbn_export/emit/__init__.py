"""From a graph back to a Keras model.

Takes a `Graph` and gives a new model of the same Keras that shares no variable with the one that was captured. Knows
nothing of folding: it replays the calls that are there.
"""
