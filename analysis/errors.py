"""The one error that the command line turns into a sentence and exit code 2."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from yaml import YAMLError

_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, RecursionError, YAMLError)


class AnalysisError(Exception):
    """Input that cannot be analyzed: its text is one sentence that says what to change."""


@contextlib.contextmanager
def reading(path: Path, fix: str, own: bool = False) -> Iterator[None]:
    """Turn every way in which the file `path` can be missing or damaged into an AnalysisError.

    Its sentence ends with `fix`; with `own`, an error that names the file keeps its sentence.
    """
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise AnalysisError(f"{where} cannot be read ({error.strerror}): {fix}.") from error
    except _DAMAGE as error:
        named = own and str(path.parent) in str(error)
        text = str(error) if named else f"{path} cannot be read ({error}): {fix}."
        raise AnalysisError(text) from error
