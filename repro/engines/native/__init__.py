"""Compiled kernels for rollouts and updates on a CPU, beside the plain torch code.

The torch code is the definition. Both agree to float32 rounding (tests/engines/test_native.py), and
a learner's bits do not depend on its pack with either.
"""

from repro.engines.native.acting import Acting
from repro.engines.native.derivatives import Derivatives
from repro.engines.native.estimates import Renormalization, RolloutArrays, Valuation, gae
from repro.engines.native.networks import Candidates, Networks
from repro.engines.native.recording import Recording
from repro.engines.native.screens import AreaResize, Shades
from repro.engines.native.stepping import Stepping
from repro.engines.native.trunk import Trunk
from repro.engines.native.update import CriticFit, PolicyGradient, Updater

__all__ = [
    "Acting",
    "AreaResize",
    "Candidates",
    "CriticFit",
    "Derivatives",
    "Networks",
    "PolicyGradient",
    "Recording",
    "Renormalization",
    "RolloutArrays",
    "Shades",
    "Stepping",
    "Trunk",
    "Updater",
    "Valuation",
    "gae",
]
