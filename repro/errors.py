"""What can go wrong, and the exit code each leaves behind (0 is done)."""

EXIT_BAD_INPUT = 2
EXIT_NUMERICAL = 4


class ConfigError(ValueError):
    """Bad input: one sentence that names the culprit and the fix (exit code 2)."""


class NumericalError(ArithmeticError):
    """A run stopped being finite (exit code 4)."""
