"""Fixtures that every protocol's tests share."""

import time

import pytest
from gateway import Gateway
from recorder import Recorder

PROVIDER_TYPES = ["openai", "anthropic", "response_api"]


@pytest.fixture(scope="session")
def gateway():
    """A server with an `openai` provider, which is the mock under several names, and one provider
    of each type, which is the mock under the names `<type>/<name at the mock>`."""
    gateway = Gateway()
    try:
        mapping = {"mock": "mock", "mock-*": "mock-*", "org/mapped": "mock-echo"}
        gateway.provider("python-openai", "openai", mapping)
        for provider_type in PROVIDER_TYPES:
            gateway.provider(f"python-any-{provider_type}", provider_type, {f"{provider_type}/*": "*"})
        yield gateway
    finally:
        gateway.close()


@pytest.fixture(scope="session")
def key(gateway):
    """The key of a credential that may do everything."""
    return gateway.credential("python")


@pytest.fixture(params=PROVIDER_TYPES)
def provider_type(request):
    """Every type of provider in turn."""
    return request.param


@pytest.fixture
def at(provider_type):
    """Names a model of the mock behind that provider."""
    return lambda model="mock": f"{provider_type}/{model}"


@pytest.fixture(scope="session")
def recorded(gateway):
    """What the mock is asked, by provider type, for models named `recorded-<type>/...`."""
    recorders = {}
    for provider_type in PROVIDER_TYPES:
        recorders[provider_type] = recorder = Recorder(gateway.mock)
        mapping = {f"recorded-{provider_type}/*": "*"}
        gateway.provider(f"python-recorded-{provider_type}", provider_type, mapping, recorder.url)
    yield recorders
    for recorder in recorders.values():
        recorder.close()


@pytest.fixture
def eventually():
    """Asks again until a condition holds, for effects that nobody announces."""

    def wait(condition):
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end, "it did not happen"

    return wait
