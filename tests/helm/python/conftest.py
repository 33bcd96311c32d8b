"""Folders that the users of containers may enter, which pytest's own are not."""

import pathlib
import shutil
import tempfile

import pytest


def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="llm-proxy-", dir="/tmp"))
    path.chmod(0o755)
    return path


@pytest.fixture
def tmp_path():
    path = folder()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def module_path():
    path = folder()
    yield path
    shutil.rmtree(path, ignore_errors=True)
