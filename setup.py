"""What pyproject.toml cannot say: the wheel takes `conf/` and tables of `results/` along."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
DATA = {  # in the wheel
    "conf": "repro/conf",
    "policies": "repro/policies",
    "results/reference": "analysis/reference",
    "results/explain": "analysis/explain",
}


class BuildWithData(build_py):
    """An editable install reads the repository's own."""

    def run(self) -> None:
        """Copy the data beside the modules."""
        super().run()
        if not self.editable_mode:
            for source, target in DATA.items():
                shutil.copytree(ROOT / source, Path(self.build_lib) / target, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithData})
