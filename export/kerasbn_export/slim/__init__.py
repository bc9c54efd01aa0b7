"""Networks slimmed by gamma: channels that are constant behind their BatchNorm are taken out, exactly.

    gamma_c = 0:   y_c = 0*(x_c - mean_c)/sqrt(variance_c + epsilon) + beta_c = beta_c     whatever x_c is
    W f(y) + b  =  W_rest f(y_rest) + (b + sum over constant c of W_c f(beta_c))

The way: `walk` reads what each channel depends on and which are constant, `choose` decides which go, `cut` gives every
layer its smaller weights, `remove` is the whole.
"""
