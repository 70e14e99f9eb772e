from repro.api import Run as Run
from repro.api import Runs as Runs
from repro.api import load as load
from repro.api import load_policy as load_policy
from repro.api import policies as policies
from repro.api import runs as runs
from repro.api import train as train
from repro.errors import ConfigError as ConfigError
from repro.errors import CorruptError as CorruptError
from repro.errors import LockedError as LockedError
from repro.errors import NumericalError as NumericalError
from repro.errors import RunsFailedError as RunsFailedError
from repro.errors import StorageError as StorageError

__version__: str
