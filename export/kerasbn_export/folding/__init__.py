"""Removes every BatchNorm that algebra allows, and says of each what became of it.

Takes a captured `Graph` and changes it in place; gives one `Verdict` per BatchNorm. ``rules`` answer about one
BatchNorm and one call, ``passes`` rewrite the whole graph, ``engine`` orders them. Nothing here converts, logs or
prints, and nothing here touches a file.
"""
