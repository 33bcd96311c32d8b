"""Folders that the users of containers may enter, which pytest's own are not."""

import pathlib
import shutil
import tempfile

import pytest

from machine import Machine
from sandbox import Container, eventually, get, image


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


@pytest.fixture
def machine(tmp_path):
    one = Machine(tmp_path)
    mock = Container(tmp_path, "openai", [image()["entry"][0], "mock", "--port", "18009"], {}, 65532)
    one.started(mock)
    eventually(lambda: get("/v1/models", 18009)[0], "the mock")
    yield one
    one.end()
    if one.cluster:
        one.cluster.end()
