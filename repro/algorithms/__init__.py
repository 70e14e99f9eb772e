"""One file an algorithm; `conf/algorithm` has a YAML of the same name for each."""

from repro.algorithms.a2c import A2C
from repro.algorithms.a2c_tr import A2CTrustRegion
from repro.algorithms.acer import ACER
from repro.algorithms.base import Learners
from repro.algorithms.cem import CEM
from repro.algorithms.ppo import PPO
from repro.algorithms.trpo import TRPO
from repro.algorithms.vpg import VPG

ALGORITHMS: dict[str, type[Learners]] = {
    "ppo": PPO,
    "vpg": VPG,
    "trpo": TRPO,
    "a2c": A2C,
    "a2c_tr": A2CTrustRegion,
    "acer": ACER,
    "cem": CEM,
}
