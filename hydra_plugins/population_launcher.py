"""What `conf/hydra` names. Hydra looks for plugins in this namespace only."""

from repro.sweeps import launcher, sweeper


class PopulationLauncher(launcher.PopulationLauncher):
    """`hydra/launcher: population`."""


class PopulationSweeper(sweeper.PopulationSweeper):
    """`hydra/sweeper: population`."""
