"""Agents of Pydantic AI."""

import asyncio

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelHTTPError, NativeOutput, ThinkingPart, ToolOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider


class Place(BaseModel):
    city: str
    inhabitants: int


@pytest.fixture
def model(gateway, key, at, protocol):
    """Makes the model of Pydantic AI for a model of the mock."""

    def make(name="mock"):
        if protocol == "messages":
            # By the names it knows Pydantic AI tells which models can do this; ours is none of them.
            profile = {"supports_json_schema_output": True}
            provider = AnthropicProvider(api_key=key, base_url=gateway.url)
            return AnthropicModel(at(name), provider=provider, profile=profile)
        kind = OpenAIChatModel if protocol == "chat" else OpenAIResponsesModel
        return kind(at(name), provider=OpenAIProvider(api_key=key, base_url=f"{gateway.url}/v1"))

    return make


def test_text_and_usage(model, at):
    result = Agent(model("mock-echo")).run_sync("Hello there")
    assert result.output == "Hello there"
    assert (result.usage.input_tokens, result.usage.output_tokens) == (2, 2)
    assert result.response.model_name == at("mock-echo")


def test_a_stream_adds_up(model):
    async def run():
        async with Agent(model("mock-echo")).run_stream("Hello there") as result:
            return [text async for text in result.stream_text(delta=True, debounce_by=None)]

    pieces = asyncio.run(run())
    assert "".join(pieces) == "Hello there" and len(pieces) > 1


@pytest.mark.parametrize("name", ["mock", "mock-tools"])
def test_an_agent_calls_its_tools(model, name):
    agent = Agent(model(name))
    called = []

    @agent.tool_plain
    def get_weather(city: str) -> str:
        called.append(city)
        return "22 degrees"

    @agent.tool_plain
    def get_time(zone: str) -> str:
        called.append(zone)
        return "noon"

    want = {"mock": "The tool answered: 22 degrees", "mock-tools": "The tool answered: 22 degrees, noon"}
    assert agent.run_sync("What is the weather?").output == want[name]
    assert called == ["mock"] * (2 if name == "mock-tools" else 1)


@pytest.mark.parametrize("output", [ToolOutput(Place), NativeOutput(Place)], ids=["tool", "native"])
def test_structured_output(model, output):
    assert Agent(model(), output_type=output).run_sync("Where?").output == Place(city="mock", inhabitants=1)


def test_thinking_is_kept_through_the_conversation(model):
    agent = Agent(model("mock-thinking"))
    first = agent.run_sync("Hello there")
    thoughts = [part for part in first.response.parts if isinstance(part, ThinkingPart)]
    assert any("disappointed" in part.content for part in thoughts)
    second = agent.run_sync("And now?", message_history=first.all_messages())
    assert "friendly" in second.output


def test_errors_are_told(model):
    with pytest.raises(ModelHTTPError) as caught:
        Agent(model("mock-status-400")).run_sync("Hello")
    assert caught.value.status_code == 400
