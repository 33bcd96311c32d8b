"""Chat Completions with the official `openai` package."""

import asyncio
import json

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

HELLO = [{"role": "user", "content": "Hello there"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TIME = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="session")
def make(gateway):
    """Makes clients that do not retry, so that each test sees the first answer."""

    def client(key, kind=OpenAI, **options):
        return kind(base_url=f"{gateway.url}/v1", api_key=key, **{"max_retries": 0, "timeout": 30, **options})

    return client


@pytest.fixture(scope="session")
def client(make, key):
    return make(key)


def text_of(stream):
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def test_a_whole_answer(client):
    answer = client.chat.completions.create(model="org/mapped", messages=HELLO)
    assert answer.choices[0].message.content == "Hello there"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "org/mapped"
    assert answer.usage.prompt_tokens == 2 and answer.usage.total_tokens == 4
    assert answer._request_id


def test_headers_are_within_reach(client):
    raw = client.chat.completions.with_raw_response.create(model="mock", messages=HELLO)
    assert raw.headers["x-llm-proxy-provider"] == "python-openai"
    assert raw.headers["x-request-id"] == raw.parse()._request_id


def test_a_stream_shows_no_usage_unless_asked(client):
    chunks = list(client.chat.completions.create(model="org/mapped", messages=HELLO, stream=True))
    assert text_of(chunks) == "Hello there"
    assert {chunk.model for chunk in chunks} == {"org/mapped"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.choices and not chunk.usage for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_stream_ends_with_usage_when_asked(client):
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="mock", messages=HELLO, stream=True, stream_options=options))
    assert chunks[-1].choices == [] and chunks[-1].usage.prompt_tokens == 2
    assert chunks[-1].usage.completion_tokens == len(text_of(chunks).split())


def test_the_stream_helper_accumulates(client):
    with client.chat.completions.stream(model="mock-tools", messages=HELLO, tools=[WEATHER, TIME]) as stream:
        kinds = {event.type for event in stream}
        message = stream.get_final_completion().choices[0].message
    assert "tool_calls.function.arguments.done" in kinds
    assert [call.function.name for call in message.tool_calls] == ["get_weather", "get_time"]


def test_reasoning_of_compatible_servers_passes_through(client):
    message = client.chat.completions.create(model="mock-thinking", messages=HELLO).choices[0].message
    assert message.reasoning_content and message.content


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_of_two_turns(client, stream):
    messages = [{"role": "user", "content": "What is the weather in Rome?"}]
    request = {"model": "mock", "messages": messages, "tools": [WEATHER]}
    if stream:
        with client.chat.completions.stream(**request) as events:
            first = events.get_final_completion()
    else:
        first = client.chat.completions.create(**request)
    choice = first.choices[0]
    assert choice.finish_reason == "tool_calls"
    [call] = choice.message.tool_calls
    assert call.function.name == "get_weather" and "city" in json.loads(call.function.arguments)
    messages += [choice.message.to_dict(), {"role": "tool", "tool_call_id": call.id, "content": "22 degrees"}]
    for message in messages:
        # What the stream helper adds to its own messages is not part of the protocol.
        for tool_call in message.get("tool_calls") or []:
            tool_call["function"].pop("parsed_arguments", None)
        message.pop("parsed", None)
    second = client.chat.completions.create(**request)
    assert second.choices[0].message.content == "The tool answered: 22 degrees"


def test_parallel_tool_calls(client):
    answer = client.chat.completions.create(model="mock-tools", messages=HELLO, tools=[WEATHER, TIME])
    calls = answer.choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert len({call.id for call in calls}) == 2
    single = client.chat.completions.create(
        model="mock-tools", messages=HELLO, tools=[WEATHER, TIME], parallel_tool_calls=False
    )
    assert len(single.choices[0].message.tool_calls) == 1


def test_structured_output_is_parsed(client):
    class Step(BaseModel):
        explanation: str
        number: int

    class Solution(BaseModel):
        steps: list[Step]
        done: bool

    answer = client.chat.completions.parse(model="mock", messages=HELLO, response_format=Solution)
    assert isinstance(answer.choices[0].message.parsed, Solution)


def test_models_are_listed_and_retrieved(client):
    ids = [model.id for model in client.models.list()]
    assert ids == ["mock", "org/mapped"]
    assert client.models.retrieve("org/mapped").id == "org/mapped"
    assert client.models.retrieve("mock-anything").id == "mock-anything"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nothing")


def test_our_own_errors_have_the_classes_of_the_sdk(gateway, make, client):
    create = client.chat.completions.create
    with pytest.raises(openai.AuthenticationError) as caught:
        make("sk-wrong").chat.completions.create(model="mock", messages=HELLO)
    assert caught.value.code == "invalid_api_key" and caught.value.request_id
    with pytest.raises(openai.NotFoundError) as caught:
        create(model="nothing", messages=HELLO)
    assert caught.value.code == "model_not_found" and caught.value.param == "model"
    with pytest.raises(openai.BadRequestError) as caught:
        create(model="mock", messages="no list")
    assert caught.value.code == "invalid_value" and caught.value.param == "messages"
    narrow = make(gateway.credential("python-narrow", allowed_models=["mock-echo"]))
    with pytest.raises(openai.PermissionDeniedError) as caught:
        narrow.chat.completions.create(model="mock", messages=HELLO)
    assert caught.value.code == "model_not_allowed"


def test_a_rate_limit_is_told_and_not_retried_in_vain(gateway, make):
    blocked = make(gateway.credential("python-blocked", rate_limit=0), max_retries=2)
    with pytest.raises(openai.RateLimitError) as caught:
        blocked.chat.completions.create(model="mock", messages=HELLO)
    assert caught.value.code == "rate_limit_exceeded"
    assert gateway.requests(api_key_name="python-blocked", status_code="429") == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_errors_of_the_provider_have_the_classes_of_the_sdk(client, status, error, stream):
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=f"mock-status-{status}", messages=HELLO, stream=stream)
    assert caught.value.status_code == status
    assert str(status) in caught.value.message
    assert caught.value.response.headers["x-llm-proxy-error-source"] == "upstream"


def test_a_cut_stream_raises(client):
    received = []
    with pytest.raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(model="mock-cut", messages=HELLO, stream=True):
            received.append(chunk)
    assert text_of(received), "what came before the cut is not lost"
    assert caught.value.code == "upstream_stream_error"


def test_a_cut_answer_raises(client):
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="mock-cut", messages=HELLO)
    assert caught.value.code == "upstream_invalid_response"


def test_a_stream_that_the_client_closes_is_cancelled(gateway, make, eventually):
    client = make(gateway.credential("python-leaver"))
    stream = client.chat.completions.create(model="mock-stall", messages=HELLO, stream=True)
    next(iter(stream))
    stream.close()
    eventually(lambda: gateway.requests(api_key_name="python-leaver", status_code="499") == 1)


def test_the_async_client_streams_and_cancels(gateway, make, eventually):
    client_key = gateway.credential("python-async")

    async def run():
        async with make(client_key, AsyncOpenAI) as client:
            stream = await client.chat.completions.create(model="org/mapped", messages=HELLO, stream=True)
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            task = asyncio.create_task(client.chat.completions.create(model="mock-stall", messages=HELLO))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(task, 0.5)
        return text

    assert asyncio.run(run()) == "Hello there"
    eventually(lambda: gateway.requests(api_key_name="python-async", status_code="499") == 1)
