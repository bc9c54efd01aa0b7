"""Where two sides differ: every layer and every weight against the candidate's tensor that carries its name.

Takes the two sides and the worst sample. Gives a record per layer and per weight, and the first that is wrong while
what it is given is right.
"""
