"""Responses with the official `openai` package, answered by providers of every type."""

import json

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

SIGNATURE = "c2lnbmVkIGJ5IHRoZSBtb2Nr"


def tool(name, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "name": name, "parameters": schema}


WEATHER = tool("get_weather", city={"type": "string"})
TIME = tool("get_time", zone={"type": "string"}, offset={"type": "integer"})


@pytest.fixture(scope="session")
def make(gateway):
    """Makes clients that do not retry, so that each test sees the first answer."""
    options = {"base_url": f"{gateway.url}/v1", "max_retries": 0, "timeout": 30}
    return lambda key, **more: OpenAI(api_key=key, **{**options, **more})


@pytest.fixture(scope="session")
def client(make, key):
    return make(key)


def again(item):
    """An output item as it is sent back: what the SDK adds to its own objects is left out."""
    sent = item.to_dict()
    sent.pop("parsed_arguments", None)
    for part in sent.get("content") or []:
        part.pop("parsed", None)
    return sent


def whole_or_streamed(client, stream, **request):
    if not stream:
        return client.responses.create(**request)
    with client.responses.stream(**request) as events:
        return events.get_final_response()


def test_a_whole_answer(client, at):
    answer = client.responses.create(model=at("mock-echo"), instructions="Be brief", input="Hello there")
    assert answer.output_text == "Hello there" and answer.status == "completed"
    assert answer.model == at("mock-echo") and answer.id.startswith("resp_")
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (4, 2, 6)
    assert answer._request_id


def test_a_stream_has_all_its_events(client, at):
    events = list(client.responses.create(model=at("mock-echo"), input="Hello there", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = list(dict.fromkeys(event.type for event in events))
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert {event.response.model for event in events if hasattr(event, "response")} == {at("mock-echo")}


def test_the_stream_helper_accumulates(client, at):
    with client.responses.stream(model=at("mock-echo"), input="Hello there") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert text == final.output_text == "Hello there"
    assert final.usage.total_tokens == 4


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_with_parallel_calls(client, at, stream):
    history = [{"role": "user", "content": "Hello there"}]
    request = {"model": at("mock-tools"), "tools": [WEATHER, TIME]}
    first = whole_or_streamed(client, stream, input=history, **request)
    calls = [item for item in first.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    assert [json.loads(call.arguments) for call in calls] == [{"city": "mock"}, {"zone": "mock", "offset": 1}]
    assert len({call.call_id for call in calls}) == 2 and len({call.id for call in calls}) == 2
    history += [again(item) for item in first.output]
    for call, result in zip(calls, ["22 degrees", "noon"]):
        history.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
    second = whole_or_streamed(client, stream, input=history, **request)
    assert second.output_text == "The tool answered: 22 degrees, noon"


def test_one_call_at_a_time(client, at):
    request = {"model": at("mock-tools"), "input": "Hello", "tools": [WEATHER, TIME]}
    answer = client.responses.create(**request, parallel_tool_calls=False)
    assert [item.type for item in answer.output] == ["function_call"]


def test_a_free_form_tool_crosses_to_a_provider_without_them(client):
    request = {"model": "anthropic/mock", "input": "Hello", "tools": [{"type": "custom", "name": "shell"}]}
    [call] = client.responses.create(**request).output
    assert (call.type, call.name, call.input) == ("custom_tool_call", "shell", "mock")


def test_structured_output_is_parsed(client, at):
    class Step(BaseModel):
        explanation: str
        number: int

    class Solution(BaseModel):
        first: Step
        done: bool

    want = Solution(first=Step(explanation="mock", number=1), done=True)
    request = {"model": at(), "input": "Hello", "text_format": Solution}
    assert client.responses.parse(**request).output_parsed == want
    with client.responses.stream(**request) as stream:
        assert stream.get_final_response().output_parsed == want


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_is_shown_and_returns_to_its_provider(client, recorded, provider_type, stream):
    request = {
        "model": f"recorded-{provider_type}/mock-thinking",
        "reasoning": {"effort": "medium", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "max_output_tokens": 20000,
    }
    history = [{"role": "user", "content": "Hello there"}]
    first = whole_or_streamed(client, stream, input=history, **request)
    assert [item.type for item in first.output] == ["reasoning", "message"]
    assert "disappointed" in first.output[0].summary[0].text
    history += [again(item) for item in first.output] + [{"role": "user", "content": "And now?"}]
    raw = client.responses.with_raw_response.create(input=history, **request)
    assert "friendly" in raw.parse().output_text
    sent = recorded[provider_type].bodies[-1]
    if provider_type == "anthropic":
        thinking = sent["messages"][1]["content"][0]
        assert thinking["type"] == "thinking" and thinking["signature"] == SIGNATURE
    elif provider_type == "response_api":
        [reasoning] = [item for item in sent["input"] if item.get("type") == "reasoning"]
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
        client.responses.create(model=at(f"mock-status-{status}"), input="Hello", stream=stream)
    assert caught.value.status_code == status and str(status) in caught.value.message
    assert caught.value.response.headers["x-llm-proxy-error-source"] == "upstream"


def test_our_own_errors_have_the_classes_of_the_sdk(gateway, make, client):
    with pytest.raises(openai.AuthenticationError) as caught:
        make("sk-wrong").responses.create(model="mock", input="Hello")
    assert caught.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="nothing", input="Hello")
    assert caught.value.code == "model_not_found" and caught.value.param == "model"
    blocked = make(gateway.credential("python-responses-blocked", rate_limit=0), max_retries=2)
    with pytest.raises(openai.RateLimitError) as caught:
        blocked.responses.create(model="mock", input="Hello")
    assert caught.value.code == "rate_limit_exceeded"
    assert gateway.requests(api_key_name="python-responses-blocked", status_code="429") == 1


@pytest.mark.parametrize("provider_type", ["openai", "anthropic"], indirect=True)
def test_what_cannot_cross_is_refused(client, at):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=at(), input="Hello", previous_response_id="resp_1")
    assert caught.value.code == "unsupported_across_protocols" and caught.value.param == "previous_response_id"


def test_a_cut_stream_fails(client, at):
    *events, error, failed = client.responses.create(model=at("mock-cut"), input="Hello", stream=True)
    assert any(event.type == "response.output_text.delta" for event in events)
    assert (error.type, error.code) == ("error", "upstream_stream_error")
    assert failed.type == "response.failed" and failed.response.status == "failed"
    assert "Some(" not in failed.response.error.message and failed.response.model == at("mock-cut")
    with client.responses.stream(model=at("mock-cut"), input="Hello") as stream, pytest.raises(RuntimeError):
        stream.get_final_response()


def test_a_stream_that_the_client_closes_is_cancelled(gateway, make, at, provider_type, eventually):
    name = f"python-responses-leaver-{provider_type}"
    stream = make(gateway.credential(name)).responses.create(model=at("mock-stall"), input="Hello", stream=True)
    next(iter(stream))
    stream.close()
    eventually(lambda: gateway.requests(api_key_name=name, status_code="499") == 1)
