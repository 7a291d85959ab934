"""Files that tasks write, below `APP_ARTIFACTS_URL`; a result holds the pointer to a file."""

from .runtime.artifacts import Artifacts
from .settings import settings

artifacts = Artifacts(lambda: settings().artifacts_url)
