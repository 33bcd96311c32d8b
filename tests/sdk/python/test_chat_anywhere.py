"""Chat Completions with the official `openai` package, answered by providers of every type."""

import json

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

HELLO = [{"role": "user", "content": "Hello there"}]
SIGNATURE = "c2lnbmVkIGJ5IHRoZSBtb2Nr"


def tool(name, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


WEATHER = tool("get_weather", city={"type": "string"})
TIME = tool("get_time", zone={"type": "string"}, offset={"type": "integer"})


@pytest.fixture(scope="session")
def client(gateway, key):
    return OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=30)


def test_a_whole_answer(client, at):
    answer = client.chat.completions.create(model=at("mock-echo"), messages=HELLO)
    [choice] = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", "Hello there", "stop")
    assert answer.model == at("mock-echo") and answer.id.startswith("chatcmpl-")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (2, 2, 4)


def test_a_stream_accumulates(client, at):
    request = {"model": at("mock-echo"), "messages": HELLO, "stream_options": {"include_usage": True}}
    with client.chat.completions.stream(**request) as stream:
        chunks = [event.chunk for event in stream if event.type == "chunk"]
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "Hello there" and final.choices[0].finish_reason == "stop"
    assert {chunk.id for chunk in chunks} == {final.id} and {chunk.model for chunk in chunks} == {at("mock-echo")}
    assert chunks[-1].choices == [] and final.usage.total_tokens == 4


def test_a_stream_shows_no_usage_unless_asked(client, at):
    chunks = list(client.chat.completions.create(model=at(), messages=HELLO, stream=True))
    assert all(chunk.choices and not chunk.usage for chunk in chunks)


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_with_parallel_calls(client, at, stream):
    messages = list(HELLO)
    request = {"model": at("mock-tools"), "messages": messages, "tools": [WEATHER, TIME]}
    if stream:
        with client.chat.completions.stream(**request) as events:
            first = events.get_final_completion()
    else:
        first = client.chat.completions.create(**request)
    choice = first.choices[0]
    assert choice.finish_reason == "tool_calls"
    calls = choice.message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "mock"}, {"zone": "mock", "offset": 1}]
    assert len({call.id for call in calls}) == 2
    asked = [
        {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments}}
        for call in calls
    ]
    messages.append({"role": "assistant", "content": None, "tool_calls": asked})
    for call, result in zip(calls, ["22 degrees", "noon"]):
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    second = client.chat.completions.create(**request)
    assert second.choices[0].message.content == "The tool answered: 22 degrees, noon"
    assert second.choices[0].finish_reason == "stop"


def test_one_call_at_a_time(client, at):
    request = {"model": at("mock-tools"), "messages": HELLO, "tools": [WEATHER, TIME]}
    answer = client.chat.completions.create(**request, parallel_tool_calls=False)
    assert len(answer.choices[0].message.tool_calls) == 1


def test_a_named_tool_is_called(client, at):
    choice = {"type": "function", "function": {"name": "get_time"}}
    answer = client.chat.completions.create(model=at(), messages=HELLO, tools=[WEATHER, TIME], tool_choice=choice)
    assert [call.function.name for call in answer.choices[0].message.tool_calls] == ["get_time"]


def test_structured_output_is_parsed(client, at):
    class Step(BaseModel):
        explanation: str
        number: int

    class Solution(BaseModel):
        first: Step
        done: bool

    want = Solution(first=Step(explanation="mock", number=1), done=True)
    request = {"model": at(), "messages": HELLO, "response_format": Solution}
    assert client.chat.completions.parse(**request).choices[0].message.parsed == want
    with client.chat.completions.stream(**request) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == want


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_is_shown_and_returns_to_its_provider(client, recorded, provider_type, stream):
    model = f"recorded-{provider_type}/mock-thinking"
    request = {"model": model, "messages": list(HELLO), "reasoning_effort": "medium", "max_tokens": 20000}
    if stream:
        text, reasoning, details = "", "", []
        for chunk in client.chat.completions.create(**request, stream=True):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasoning += getattr(choice.delta, "reasoning_content", None) or ""
                details += getattr(choice.delta, "reasoning_details", None) or []
        message = {"role": "assistant", "content": text, "reasoning_content": reasoning}
        if details:
            message["reasoning_details"] = details
    else:
        message = client.chat.completions.create(**request).choices[0].message.to_dict()
    assert "disappointed" in message["reasoning_content"] and "friendly" in message["content"]
    messages = [*HELLO, message, {"role": "user", "content": "And now?"}]
    raw = client.chat.completions.with_raw_response.create(**{**request, "messages": messages})
    assert "friendly" in raw.parse().choices[0].message.content
    sent = recorded[provider_type].bodies[-1]
    if provider_type == "anthropic":
        thinking = sent["messages"][1]["content"][0]
        assert thinking["type"] == "thinking" and thinking["signature"] == SIGNATURE
        assert thinking["thinking"] == message["reasoning_content"]
    elif provider_type == "response_api":
        [reasoning] = [item for item in sent["input"] if item["type"] == "reasoning"]
        assert reasoning["encrypted_content"].startswith("mock_encrypted_")
    if provider_type != "openai":
        assert "reasoning" not in raw.headers.get("x-llm-proxy-dropped", "")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (529, openai.InternalServerError),
    ],
)
def test_errors_of_the_provider_have_the_classes_of_the_sdk(client, at, status, error, stream):
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=at(f"mock-status-{status}"), messages=HELLO, stream=stream)
    assert caught.value.status_code == status and str(status) in caught.value.message
    assert caught.value.response.headers["x-llm-proxy-error-source"] == "upstream"
    if status == 429:
        assert caught.value.response.headers["retry-after"]


def test_a_cut_stream_raises(client, at):
    received = []
    with pytest.raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(model=at("mock-cut"), messages=HELLO, stream=True):
            received.append(chunk)
    assert received and caught.value.code == "upstream_stream_error"


def test_a_stream_that_the_client_closes_is_cancelled(gateway, at, provider_type, eventually):
    name = f"python-chat-leaver-{provider_type}"
    client = OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.credential(name), max_retries=0, timeout=30)
    stream = client.chat.completions.create(model=at("mock-stall"), messages=HELLO, stream=True)
    next(iter(stream))
    stream.close()
    eventually(lambda: gateway.requests(api_key_name=name, status_code="499") == 1)
