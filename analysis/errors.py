"""The one error that the command line turns into a sentence and exit code 2."""


class AnalysisError(Exception):
    """Input that cannot be analyzed: its text is one sentence that says what to change."""
