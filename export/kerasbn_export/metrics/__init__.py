"""The user's own measure of how good a model is, and how sure a difference in it is.

Takes labels and the outputs of models. Gives the metric of each, and of each difference an interval by the paired
bootstrap. Knows neither models nor files.
"""
