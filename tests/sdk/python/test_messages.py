"""Messages with the official `anthropic` package, answered by providers of every type."""

import asyncio

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic, beta_tool
from pydantic import BaseModel

HELLO = [{"role": "user", "content": "Hello there"}]
SIGNATURE = "c2lnbmVkIGJ5IHRoZSBtb2Nr"


def tool(name, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"name": name, "input_schema": schema}


WEATHER = tool("get_weather", city={"type": "string"})
TIME = tool("get_time", zone={"type": "string"}, offset={"type": "integer"})


@pytest.fixture(scope="session")
def make(gateway):
    """Makes clients that do not retry, so that each test sees the first answer."""

    def client(key, kind=Anthropic, **options):
        return kind(base_url=gateway.url, api_key=key, **{"max_retries": 0, "timeout": 30, **options})

    return client


@pytest.fixture(scope="session")
def client(make, key):
    return make(key)


def whole_or_streamed(client, stream, **request):
    request = {"max_tokens": 1000, **request}
    if not stream:
        return client.messages.create(**request)
    with client.messages.stream(**request) as events:
        return events.get_final_message()


def test_a_whole_answer(client, at):
    answer = client.messages.create(model=at("mock-echo"), max_tokens=100, system="Be brief", messages=HELLO)
    assert [(block.type, block.text) for block in answer.content] == [("text", "Hello there")]
    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    assert answer.model == at("mock-echo") and answer.id.startswith("msg_")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (4, 2)
    assert answer._request_id


def test_a_stream_has_all_its_events(client, at):
    events = list(client.messages.create(model=at("mock-echo"), max_tokens=100, messages=HELLO, stream=True))
    kinds = list(dict.fromkeys(event.type for event in events))
    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0].message.model == at("mock-echo")


def test_the_stream_helper_accumulates(client, at):
    with client.messages.stream(model=at("mock-echo"), max_tokens=100, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text == "Hello there" and final.stop_reason == "end_turn"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (2, 2)


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_with_parallel_calls(client, at, stream):
    request = {"model": at("mock-tools"), "tools": [WEATHER, TIME]}
    first = whole_or_streamed(client, stream, messages=HELLO, **request)
    assert first.stop_reason == "tool_use"
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == [
        ("get_weather", {"city": "mock"}),
        ("get_time", {"zone": "mock", "offset": 1}),
    ]
    assert len({call.id for call in calls}) == 2
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": result}
        for call, result in zip(calls, ["22 degrees", "noon"])
    ]
    history = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = whole_or_streamed(client, stream, messages=history, **request)
    assert second.content[0].text == "The tool answered: 22 degrees, noon" and second.stop_reason == "end_turn"


def test_the_tool_runner_goes_through_two_turns(client, at):
    asked = []

    @beta_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return "22 degrees"

    runner = client.beta.messages.tool_runner(model=at(), max_tokens=100, messages=HELLO, tools=[get_weather])
    assert runner.until_done().content[0].text == "The tool answered: 22 degrees"
    assert asked == ["mock"]


def test_one_call_at_a_time(client, at):
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    request = {"model": at("mock-tools"), "messages": HELLO, "tools": [WEATHER, TIME], "tool_choice": choice}
    assert len(client.messages.create(max_tokens=100, **request).content) == 1


def test_structured_output_is_parsed(client, at):
    class Step(BaseModel):
        explanation: str
        number: int

    class Solution(BaseModel):
        first: Step
        done: bool

    want = Solution(first=Step(explanation="mock", number=1), done=True)
    request = {"model": at(), "max_tokens": 100, "messages": HELLO, "output_format": Solution}
    assert client.messages.parse(**request).parsed_output == want
    with client.messages.stream(**request) as stream:
        assert stream.get_final_message().parsed_output == want


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_is_shown_and_returns_to_its_provider(client, recorded, provider_type, stream):
    request = {
        "model": f"recorded-{provider_type}/mock-thinking",
        "max_tokens": 20000,
        "thinking": {"type": "enabled", "budget_tokens": 8192},
    }
    first = whole_or_streamed(client, stream, messages=HELLO, **request)
    assert [block.type for block in first.content] == ["thinking", "text"]
    thought = first.content[0]
    assert "disappointed" in thought.thinking
    content = [block.to_dict() for block in first.content]
    history = [*HELLO, {"role": "assistant", "content": content}, {"role": "user", "content": "And now?"}]
    raw = client.messages.with_raw_response.create(messages=history, **request)
    assert "friendly" in raw.parse().content[-1].text
    sent = recorded[provider_type].bodies[-1]
    if provider_type == "anthropic":
        assert thought.signature == SIGNATURE and sent["messages"][1]["content"] == content
    elif provider_type == "response_api":
        [reasoning] = [item for item in sent["input"] if item.get("type") == "reasoning"]
        assert reasoning["encrypted_content"].startswith("mock_encrypted_")
        assert sent["reasoning"]["effort"] == "medium"
    else:
        assert sent["reasoning_effort"] == "medium"
    if provider_type != "openai":
        assert "reasoning" not in raw.headers.get("x-llm-proxy-dropped", "")


def test_tokens_are_counted(client, at, provider_type):
    raw = client.messages.with_raw_response.count_tokens(model=at(), messages=HELLO)
    assert raw.parse().input_tokens > 0
    assert (raw.headers.get("x-llm-proxy-usage") == "estimated") == (provider_type != "anthropic")


def test_models_are_listed_and_retrieved(client):
    models = list(client.models.list())
    assert [model.id for model in models] == ["mock", "org/mapped"]
    assert all(model.type == "model" and model.display_name and model.created_at for model in models)
    assert client.models.retrieve("org/mapped").id == "org/mapped"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nothing")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
def test_errors_of_the_provider_have_the_classes_of_the_sdk(client, at, status, error, kind, stream):
    with pytest.raises(error) as caught:
        client.messages.create(model=at(f"mock-status-{status}"), max_tokens=100, messages=HELLO, stream=stream)
    assert caught.value.status_code == status and str(status) in caught.value.message
    assert caught.value.body["type"] == "error" and caught.value.body["error"]["type"] == kind
    assert caught.value.response.headers["x-llm-proxy-error-source"] == "upstream"


def test_our_own_errors_have_the_classes_of_the_sdk(gateway, make, client):
    request = {"model": "mock", "max_tokens": 100, "messages": HELLO}
    with pytest.raises(anthropic.AuthenticationError) as caught:
        make("sk-wrong").messages.create(**request)
    assert caught.value.body["error"]["type"] == "authentication_error" and caught.value.request_id
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(**{**request, "model": "nothing"})
    assert caught.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.PermissionDeniedError):
        make(gateway.credential("python-messages-narrow", allowed_models=["mock-echo"])).messages.create(**request)
    blocked = make(gateway.credential("python-messages-blocked", rate_limit=0), max_retries=2)
    with pytest.raises(anthropic.RateLimitError) as caught:
        blocked.messages.create(**request)
    assert caught.value.body["error"]["type"] == "rate_limit_error"
    assert gateway.requests(api_key_name="python-messages-blocked", status_code="429") == 1


def test_a_cut_stream_raises(client, at):
    received = []
    with pytest.raises(anthropic.APIError) as caught:
        for event in client.messages.create(model=at("mock-cut"), max_tokens=100, messages=HELLO, stream=True):
            received.append(event.type)
    assert "content_block_delta" in received and "message_stop" not in received
    assert caught.value.body["error"]["type"] == "api_error"


def test_a_stream_that_the_client_closes_is_cancelled(gateway, make, at, provider_type, eventually):
    name = f"python-messages-leaver-{provider_type}"
    request = {"model": at("mock-stall"), "max_tokens": 100, "messages": HELLO}
    with make(gateway.credential(name)).messages.stream(**request) as stream:
        next(iter(stream.text_stream))
    eventually(lambda: gateway.requests(api_key_name=name, status_code="499") == 1)


def test_the_async_client_streams(make, key, at):
    async def run():
        async with make(key, AsyncAnthropic) as client:
            async with client.messages.stream(model=at("mock-echo"), max_tokens=100, messages=HELLO) as stream:
                return "".join([text async for text in stream.text_stream])

    assert asyncio.run(run()) == "Hello there"
