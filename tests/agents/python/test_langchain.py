"""LangChain's models and agents."""

import pytest
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class Place(BaseModel):
    """A place."""

    city: str
    inhabitants: int


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"22 degrees in {city}"


@pytest.fixture
def model(gateway, key, at, protocol):
    """Makes the model of LangChain for a model of the mock."""

    def make(name="mock", **options):
        options = {"model": at(name), "api_key": key, "max_retries": 0, "timeout": 30, **options}
        if protocol == "messages":
            return ChatAnthropic(base_url=gateway.url, **options)
        return ChatOpenAI(base_url=f"{gateway.url}/v1", use_responses_api=protocol == "responses", **options)

    return make


def test_text_and_usage(model, at):
    answer = model("mock-echo").invoke("Hello there")
    assert answer.text == "Hello there"
    assert answer.usage_metadata["total_tokens"] == 4
    assert answer.response_metadata["model_name"] == at("mock-echo")


def test_a_stream_adds_up(model):
    whole = AIMessageChunk(content="")
    chunks = list(model("mock-echo", stream_usage=True).stream("Hello there"))
    for chunk in chunks:
        whole += chunk
    assert whole.text == "Hello there" and len(chunks) > 2
    assert whole.usage_metadata["total_tokens"] == 4


def test_an_agent_calls_its_tool(model):
    agent = create_agent(model(), [get_weather])
    messages = agent.invoke({"messages": [HumanMessage("What is the weather?")]})["messages"]
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    assert messages[-1].text == "The tool answered: 22 degrees in mock"


def test_an_agent_streams_its_steps(model):
    agent = create_agent(model("mock-tools"), [get_weather])
    steps = agent.stream({"messages": [HumanMessage("What is the weather?")]}, stream_mode="messages")
    pieces = [chunk.text for chunk, _ in steps if isinstance(chunk, AIMessageChunk) and chunk.text]
    assert "".join(pieces) == "The tool answered: 22 degrees in mock" and len(pieces) > 2


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_structured_output(model, method):
    assert model().with_structured_output(Place, method=method).invoke("Where?") == Place(city="mock", inhabitants=1)
