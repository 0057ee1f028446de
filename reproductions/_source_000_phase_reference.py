"""Numbers of another program for the margin-perceptron model, double precision.

Averages over the field on a uniform grid of 6001 points on [-9, 9], state evolution by plain
iteration, spinodals by a scan of beta(q), transitions by equal free entropy; two draws of message
passing with N = 2000. Printed digits as they were kept.
"""

from __future__ import annotations

ONE_MARGIN = 0.5
WEAK_RECOVERY = {0.2: 28.94, 0.3: 11.15, 0.4: 5.472, 0.5: 3.072, 0.8: 0.836, 1.0: 0.4299,
                 1.5: 0.1183}  # fmt: skip
# kappa, alpha: beta where the low-error state appears, beta_t, where the other ends, q around
TRANSITIONS = {
    (0.3, 0.0): (8.239, 10.134, 15.216, 0, 0.988),
    (0.3, 0.5): (7.511, 8.164, 9.310, 0.650, 0.981),
    (0.33, 0.0): (float("nan"), 8.667, float("nan"), 0, float("nan")),
    (0.34, 0.0): (float("nan"), 8.245, float("nan"), float("nan"), float("nan")),
    (0.4, 0.0): (5.530, 6.233, 7.693, 0.108, 0.972),
    (0.4, 0.2): (5.228, 5.553, 6.086, 0.538, 0.963),
    (0.5, 0.0): (3.911, 4.129, 4.490, 0.291, 0.940),
    (0.5, 0.05): (3.831, 3.977, 4.201, 0.452, 0.933),
    (0.5, 0.1): (3.748, 3.838, 3.964, 0.559, 0.923),
    (0.5, 0.2): (3.571, 3.585, 3.600, 0.730, 0.891),
    (0.55, 0.0): (3.324, 3.422, 3.567, 0.392, 0.912),
    (0.6, 0.0): (2.833, 2.861, 2.897, 0.511, 0.866),
}
CRITICAL = {0.3: (1.123, 6.449), 0.4: (0.562, 4.603), 0.5: (0.241, 3.489), 0.55: (0.134, 3.077),
            0.6: (0.054, 2.726)}  # fmt: skip
BETAS = (0, 2, 3, 3.5, 3.8, 3.9, 4.0, 4.2, 4.5, 5, 8)
ERRORS_BY_BETA = {
    0.01: ".464 .441 .403 .365 .338 .327/.100 .316/.085 .290/.075 .067 .059 .037",
    0.1: ".387 .342 .300 .268 .237/.093 .220/.084 .079 .072 .065 .057 .036",
    0.5: ".264 .202 .119 .080 .071 .068 .066 .063 .058 .053 .035",
}
ERRORS_BY_ALPHA = {
    0: {0.01: 0.464, 0.1: 0.387, 0.5: 0.264, 1: 0.192, 2: 0.122},
    3: {0.01: 0.403, 0.1: 0.300, 0.5: 0.119, 1: 0.077, 2: 0.058},
    4: {0.03: 0.287, 0.1: 0.079},
    5: {0.01: 0.059, 0.1: 0.057, 0.5: 0.053, 1: 0.048, 2: 0.042},
}
# alpha, beta, start: overlaps of two draws
OVERLAPS = {
    (0.1, 2.0, "uninformed"): (0.221, 0.234),
    (0.1, 3.0, "uninformed"): (0.375, 0.424),
    (0.1, 3.5, "uninformed"): (0.434, 0.391),
    (0.1, 3.8, "uninformed"): (0.564, 0.517),
    (0.1, 3.8, "informed"): (0.918, 0.923),
    (0.1, 4.2, "uninformed"): (0.941, 0.952),
    (0.1, 5.0, "uninformed"): (0.963, 0.967),
    (0.0, 2.0, "uninformed"): (),
    (0.0, 4.4, "uninformed"): (0.44, 0.59),
    (0.0, 4.4, "informed"): (0.953,),
    (0.0, 4.6, "uninformed"): (0.956, 0.958),
}
BETHE = [(0.5, 2.0, "uninformed")]
# alpha, beta, student's margin: R, q
MISMATCH = {
    (0.3, 2.0, 0.3): (0.3637, 0.3017),
    (1.0, 1.0, 0.2): (0.6251, 0.5418),
    (2.0, 0.0, 0.0): (0.7194, 0.6068),
    (2.0, 0.0, 0.3): (0.8073, 0.7595),
}
