"""Peers: other libraries that train the same network, one file each, with the same three names.

prepare(case, data, parameters, threads)   → a state, with the same starting weights
epochs(state, orders)                      for each order one epoch of plain SGD over the rows in it, nothing else
parameters(state)                          all parameters as one vector, in fastgd's order
"""
