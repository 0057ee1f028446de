"""Numbers of another program for two-layer networks near singular regions, double precision.

Order-parameter equations with adaptive steps, 20 random starts; Hessians by automatic
differentiation of the closed-form loss. Printed digits as they were kept.
"""

from __future__ import annotations

# median plateau, median time of the target
OUTPUTS = {1: (553, 717), 2: (6.5, 203), 3: (12.5, 184), 5: (10.5, 146), 10: (6, 214),
           20: (21, 133)}  # fmt: skip
NAN = float("nan")
OVERLAPS = {1.0: (589, 758), 0.98: (157, 345), 0.9: (12, 208), 0.7: (0, 156), 0.5: (3, NAN),
            0.3: (8, NAN), 0.0: (1, 138)}  # fmt: skip
SMALL_START = {1: 626, 2: 78, 3: 30, 5: 2, 10: 37, 20: 158}
# share of the first student, teacher overlap: rate times time, of one start; inf: not within 1000
ESCAPES = {
    (0.5, 1.0): 116, (0.5, 0.98): 69, (0.5, 0.9): 40, (0.5, 0.5): 22, (0.5, 0.0): 22,
    (1.3, 1.0): float("inf"), (1.3, 0.98): float("inf"), (1.3, 0.9): 126, (1.3, 0.7): 51,
    (1.3, 0.5): 36, (1.3, 0.0): 31,
}  # fmt: skip
SHARES = (-0.5, 0.1, 0.5, 0.9, 1.5)
CURVATURES = {1.0: (0, -0.015, -0.066, -0.015, 0), 0.9: (-0.055, -0.116, -0.162, -0.116, -0.055),
              0.5: (-0.186, -0.261, -0.310, -0.261, -0.186)}  # fmt: skip
ONE_UNIT = {1.0: 0.0116, 0.9: 0.0277, 0.5: 0.0920, 0.0: 0.1667}
# teacher overlap: steps of gradient descent, of natural gradients; medians of 5 starts
DESCENTS = {1.0: (151, 11), 0.5: (44, 12)}
SIZES = {250: 0.0068, 1000: 0.0029, 4000: 0.0012}  # largest distance of three simulations
