"""States as they come back from a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from repro.runs import archive


def through_files(state: Mapping[str, Any] | None) -> dict[str, Any]:
    assert state is not None
    arrays, values = archive.flatten(state)
    read = archive.unpack(archive.pack(arrays)) | json.loads(json.dumps(values, allow_nan=False))
    return archive.unflatten(read)
