"""The project's own settings: variables that begin with `APP_`."""

from .runtime.config import ProjectSettings, reader


class Settings(ProjectSettings):
    """One field for each variable, without `APP_` and in small letters.

    The type and the default of a field say what is allowed; a field without a default is required.
    """


#: Returns the settings of this process, read once; a worker that has wrong ones does not start.
settings = reader(Settings)
