"""Dead letters in files."""

from collections.abc import Callable
from pathlib import Path

from my_celery_project.runtime.letters import (
    files,
    store,
)


def test_failures_are_counted_and_the_oldest_letters_go(
    counts_and_trims: Callable[[store.Store], None], tmp_path: Path
) -> None:
    counts_and_trims(files.FileStore(tmp_path))
    assert {path.suffix for path in tmp_path.iterdir()} == {".letter"}
