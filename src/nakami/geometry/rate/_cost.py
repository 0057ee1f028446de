"""What measures cost, in gradient evaluations: the loss and its gradient on one batch."""

FORWARD = 1 / 3  # the loss alone
GRADIENT = 1.0
PRODUCT = 2 / 3 + GRADIENT  # with the Gauss-Newton matrix: forward with a tangent, and back
