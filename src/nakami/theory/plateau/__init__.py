"""Plateaus of learning: soft-committee machines near singular regions.

A two-layer network learns from another one, online. In high dimension a few order parameters
describe it, and obey differential equations. Where two hidden units of the student are nearly
equal, its parameters are nearly redundant, and learning may stand still for long.
"""

from ._descent import Descent, descend
from ._integrals import I2, I3, I4
from ._line import Escape, LineHessian, escape, line_hessian, line_start
from ._loss import population_fisher, population_gradient, population_hessian, population_loss
from ._one_unit import OneUnit, best_one_unit
from ._order import OrderParameters, order_parameters, random_readouts, random_start
from ._plateau_length import PlateauLength, plateau_length
from ._simulation import Simulation, simulate
from ._study import ByOutputs, ErrorCurve, OnTheLine, PlateauStudy, study
from ._trajectory import Trajectory, trajectory
from ._velocity import Velocity, velocity

__all__ = [
    "I2",
    "I3",
    "I4",
    "ByOutputs",
    "Descent",
    "ErrorCurve",
    "Escape",
    "LineHessian",
    "OnTheLine",
    "OneUnit",
    "OrderParameters",
    "PlateauLength",
    "PlateauStudy",
    "Simulation",
    "Trajectory",
    "Velocity",
    "best_one_unit",
    "descend",
    "escape",
    "line_hessian",
    "line_start",
    "order_parameters",
    "plateau_length",
    "population_fisher",
    "population_gradient",
    "population_hessian",
    "population_loss",
    "random_readouts",
    "random_start",
    "simulate",
    "study",
    "trajectory",
    "velocity",
]
