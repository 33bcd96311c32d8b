// Chat Completions with the official `openai` package.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { Gateway, eventually } from './gateway.mjs';

const messages = [{ role: 'user', content: 'Hello there' }];
const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};
const time = { type: 'function', function: { name: 'get_time', parameters: { type: 'object', properties: {} } } };

const gateway = new Gateway();
let client;

/** A client that does not retry, so that each test sees the first answer. */
function make(apiKey, options = {}) {
  return new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, maxRetries: 0, timeout: 30_000, ...options });
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

function textOf(chunks) {
  return chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
}

before(async () => {
  await gateway.provider('node-openai', 'openai', { mock: 'mock', 'mock-*': 'mock-*', 'org/mapped': 'mock-echo' });
  client = make(await gateway.credential('node'));
});

after(() => gateway.close());

test('a whole answer', async () => {
  const answer = await client.chat.completions.create({ model: 'org/mapped', messages });
  assert.equal(answer.choices[0].message.content, 'Hello there');
  assert.equal(answer.model, 'org/mapped');
  assert.equal(answer.usage.total_tokens, 4);
  assert.ok(answer._request_id);
});

test('headers are within reach', async () => {
  const { response } = await client.chat.completions.create({ model: 'mock', messages }).withResponse();
  assert.equal(response.headers.get('x-llm-proxy-provider'), 'node-openai');
});

test('a stream shows no usage unless asked', async () => {
  const chunks = await collect(await client.chat.completions.create({ model: 'org/mapped', messages, stream: true }));
  assert.equal(textOf(chunks), 'Hello there');
  assert.ok(chunks.every((chunk) => chunk.model === 'org/mapped' && chunk.choices.length === 1 && !chunk.usage));
});

test('a stream ends with usage when asked', async () => {
  const request = { model: 'mock', messages, stream: true, stream_options: { include_usage: true } };
  const chunks = await collect(await client.chat.completions.create(request));
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.equal(chunks.at(-1).usage.completion_tokens, textOf(chunks).split(' ').length);
});

test('the tool runner goes through two turns', async () => {
  const asked = [];
  const run = (args) => {
    asked.push(args);
    return '22 degrees';
  };
  const tool = { type: 'function', function: { ...weather.function, function: run, parse: JSON.parse } };
  for (const stream of [false, true]) {
    const runner = client.chat.completions.runTools({ model: 'mock', messages, tools: [tool], stream });
    assert.equal(await runner.finalContent(), 'The tool answered: 22 degrees');
  }
  assert.equal(asked.length, 2);
  assert.ok(asked.every((args) => typeof args.city === 'string'));
});

test('parallel tool calls', async () => {
  const request = { model: 'mock-tools', messages, tools: [weather, time] };
  const whole = (await client.chat.completions.create(request)).choices[0].message.tool_calls;
  const streamed = (await client.chat.completions.stream(request).finalMessage()).tool_calls;
  for (const calls of [whole, streamed]) {
    assert.deepEqual(calls.map((call) => call.function.name), ['get_weather', 'get_time']);
    assert.notEqual(calls[0].id, calls[1].id);
    assert.equal(typeof JSON.parse(calls[0].function.arguments).city, 'string');
  }
});

test('structured output is parsed', async () => {
  const schema = z.object({ steps: z.array(z.object({ text: z.string(), number: z.number() })), done: z.boolean() });
  const format = zodResponseFormat(schema, 'solution');
  const answer = await client.chat.completions.parse({ model: 'mock', messages, response_format: format });
  assert.ok(schema.safeParse(answer.choices[0].message.parsed).success);
});

test('models are listed and retrieved', async () => {
  const ids = (await collect(await client.models.list())).map((model) => model.id);
  assert.deepEqual(ids, ['mock', 'org/mapped']);
  assert.equal((await client.models.retrieve('org/mapped')).id, 'org/mapped');
  await assert.rejects(client.models.retrieve('nothing'), OpenAI.NotFoundError);
});

test('our own errors have the classes of the SDK', async () => {
  const ask = (from, request) => () => from.chat.completions.create({ model: 'mock', messages, ...request });
  const narrow = make(await gateway.credential('node-narrow', { allowed_models: ['mock-echo'] }));
  for (const [asked, type, code] of [
    [ask(make('sk-wrong')), OpenAI.AuthenticationError, 'invalid_api_key'],
    [ask(narrow), OpenAI.PermissionDeniedError, 'model_not_allowed'],
    [ask(client, { model: 'nothing' }), OpenAI.NotFoundError, 'model_not_found'],
    [ask(client, { messages: 'no list' }), OpenAI.BadRequestError, 'invalid_value'],
  ]) {
    await assert.rejects(asked, (error) => error instanceof type && error.code === code && error.requestID !== null);
  }
});

test('a rate limit is told and not retried in vain', async () => {
  const blocked = make(await gateway.credential('node-blocked', { rate_limit: 0 }), { maxRetries: 2 });
  await assert.rejects(blocked.chat.completions.create({ model: 'mock', messages }), OpenAI.RateLimitError);
  assert.equal(await gateway.requests({ api_key_name: 'node-blocked', status_code: '429' }), 1);
});

test('errors of the provider have the classes of the SDK', async () => {
  for (const [status, type] of [
    [400, OpenAI.BadRequestError],
    [401, OpenAI.AuthenticationError],
    [403, OpenAI.PermissionDeniedError],
    [404, OpenAI.NotFoundError],
    [409, OpenAI.ConflictError],
    [422, OpenAI.UnprocessableEntityError],
    [429, OpenAI.RateLimitError],
    [500, OpenAI.InternalServerError],
    [503, OpenAI.InternalServerError],
  ]) {
    for (const stream of [false, true]) {
      const answer = client.chat.completions.create({ model: `mock-status-${status}`, messages, stream });
      await assert.rejects(answer, (error) => error instanceof type && error.status === status);
    }
  }
});

test('a cut stream throws', async () => {
  const chunks = [];
  const stream = await client.chat.completions.create({ model: 'mock-cut', messages, stream: true });
  const read = async () => {
    for await (const chunk of stream) chunks.push(chunk);
  };
  await assert.rejects(read(), (error) => error instanceof OpenAI.APIError && error.code === 'upstream_stream_error');
  assert.notEqual(textOf(chunks), '', 'what came before the cut is not lost');
});

test('a stream that the client aborts is cancelled', async () => {
  const leaver = make(await gateway.credential('node-leaver'));
  const stream = await leaver.chat.completions.create({ model: 'mock-stall', messages, stream: true });
  for await (const chunk of stream) {
    assert.equal(chunk.model, 'mock-stall');
    break;
  }
  const abort = new AbortController();
  const waiting = leaver.chat.completions.create({ model: 'mock-stall', messages }, { signal: abort.signal });
  await eventually(async () => (await gateway.requests({ api_key_name: 'node-leaver', status_code: '499' })) === 1);
  abort.abort();
  await assert.rejects(waiting, OpenAI.APIUserAbortError);
});
