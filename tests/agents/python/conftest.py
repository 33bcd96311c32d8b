"""One provider of each type, and a key, for every framework."""

import pytest
from gateway import Gateway

PROVIDER_TYPES = ["openai", "anthropic", "response_api"]


@pytest.fixture(scope="session")
def gateway():
    """A server whose models `<type>/<name>` are the mock behind a provider of that type."""
    gateway = Gateway()
    try:
        for provider_type in PROVIDER_TYPES:
            gateway.provider(f"agents-{provider_type}", provider_type, {f"{provider_type}/*": "*"})
        yield gateway
    finally:
        gateway.close()


@pytest.fixture(scope="session")
def key(gateway):
    return gateway.credential("agents-python")


@pytest.fixture(params=PROVIDER_TYPES)
def at(request):
    """Names a model of the mock behind every type of provider in turn."""
    return lambda model="mock": f"{request.param}/{model}"


@pytest.fixture(params=["chat", "responses", "messages"])
def protocol(request):
    """Every protocol that a framework speaks in turn."""
    return request.param
