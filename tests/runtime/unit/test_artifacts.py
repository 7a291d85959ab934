import pytest

from my_celery_project.artifacts import artifacts
from my_celery_project.settings import settings


@pytest.fixture(autouse=True)
def fresh_settings(empty_folder: None) -> None:
    settings.cache_clear()


def test_a_file_is_there_when_it_is_whole() -> None:
    with artifacts.create("reports/1.csv") as file:
        file.write(b"new")
        assert not artifacts.exists("reports/1.csv")
    with artifacts.open_binary("reports/1.csv") as file:
        assert file.read() == b"new"


def test_a_write_that_fails_leaves_what_was_there() -> None:
    artifacts.save("reports/1.csv", b"old")
    with pytest.raises(TypeError), artifacts.create("reports/1.csv", "w") as file:
        file.writelines(["new", 1])
    assert artifacts.store().find("") == ["reports/1.csv"]
    with artifacts.open_text("reports/1.csv") as file:
        assert file.read() == "old"


def test_a_file_and_a_folder_are_removed_once_or_twice() -> None:
    for name in ("work/a/1.csv", "work/b/2.csv", "work/b/3.csv"):
        artifacts.save(name, b"")
    for pointer in ("work/a/1.csv", "work/b"):
        for _ in range(2):
            artifacts.remove(pointer)
    assert artifacts.store().find("") == []
