"""Whether every output is equal: over all samples, at each scale of the inputs.

Takes the two sides and a gate. Gives one record per output. Looks at no layer.
"""
