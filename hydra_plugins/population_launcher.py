"""What Hydra may instantiate from `conf/hydra`: it looks for plugins in this namespace only."""

from repro.sweeps import launcher


class PopulationLauncher(launcher.PopulationLauncher):
    """`hydra/launcher: population`."""


class PopulationSweeper(launcher.PopulationSweeper):
    """`hydra/sweeper: population`."""
