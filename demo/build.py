"""Build docs/demo/index.html: the kernels compiled to WebAssembly, in one page (`make demo`)."""

from __future__ import annotations

import argparse
import base64
import os
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
PAGE = ROOT / "docs" / "demo" / "index.html"
WEB = ROOT / "analysis" / "reports" / "explain" / "web"  # the figures' style and charts
SOURCES = (HERE / "exports.cpp", ROOT / "repro" / "engines" / "native" / "ppo.cpp")
# As for this machine's processor in repro/engines/native/kernels.py, so that no bits change.
FLAGS = (
    *("-target", "wasm32-wasi", "-mexec-model=reactor", "-std=c++17", "-O3", "-msimd128"),
    *("-fno-exceptions", "-fno-rtti", "-ffp-contract=off", "-fno-math-errno"),
    *("-fno-trapping-math", "-Wl,--strip-all"),
)
KERNELS = re.compile(r'<script type="application/wasm" id="kernels">([^<]*)</script>')


def compile_kernels() -> bytes:
    """The WebAssembly module."""
    if find_spec("ziglang") is None:
        sys.exit("ziglang is not installed: python -m pip install -e '.[demo]'")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "kernels.wasm"
        sources = [os.path.relpath(path, ROOT) for path in SOURCES]
        command = [sys.executable, "-m", "ziglang", "c++", *FLAGS, *sources, "-o", str(target)]
        done = subprocess.run(command, cwd=ROOT, check=False)
        if done.returncode:
            sys.exit(f"ziglang fails with {done.returncode}: its messages stand above.")
        return target.read_bytes()


def committed_kernels() -> bytes:
    """The module in the page that is there."""
    found = KERNELS.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    return base64.b64decode(found[1])


def page(kernels: bytes) -> str:
    """The whole page: nothing is loaded from anywhere, and its policy forbids it."""
    text = (HERE / "page.html").read_text(encoding="utf-8")
    parts = {
        "STYLE": WEB / "style.css",
        "OWN_STYLE": HERE / "demo.css",
        "CHART": WEB / "chart.js",
        "WORKER": HERE / "worker.js",
        "DEMO": HERE / "demo.js",
    }
    for name, path in parts.items():
        text = text.replace(f"/* {name} */", path.read_text(encoding="utf-8").rstrip())
    return text.replace("/* KERNELS */", base64.b64encode(kernels).decode())


def main() -> None:
    """Write the page; with --keep-kernels from the module that is in it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--keep-kernels", action="store_true", help="compile nothing")
    kernels = committed_kernels() if parser.parse_args().keep_kernels else compile_kernels()
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(kernels), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {PAGE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
