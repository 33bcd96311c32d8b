// Messages with the official `@anthropic-ai/sdk` package, answered by providers of every type.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { z } from 'zod';
import { afterResults, calls, collect, everyProvider, failsByStatus, providerTypes, results, tools } from './anywhere.mjs';
import { Gateway, eventually } from './gateway.mjs';

const gateway = new Gateway();
const messages = [{ role: 'user', content: 'Hello there' }];
const declared = Object.entries(tools).map(([name, input_schema]) => ({ name, input_schema }));
let client;

/** The message, whole or put together by the SDK. */
function answer(request, stream) {
  request = { max_tokens: 1000, ...request };
  return stream ? client.messages.stream(request).finalMessage() : client.messages.create(request);
}

before(async () => {
  await everyProvider(gateway, 'node-msg');
  const apiKey = await gateway.credential('node-msg');
  client = new Anthropic({ baseURL: gateway.url, apiKey, maxRetries: 0, timeout: 30_000 });
});

after(() => gateway.close());

for (const type of providerTypes) {
  const at = (model) => `node-msg-${type}/${model}`;

  test(`${type}: an answer, whole and streamed`, async () => {
    for (const stream of [false, true]) {
      const message = await answer({ model: at('mock-echo'), messages }, stream);
      assert.deepEqual(message.content.map((block) => [block.type, block.text]), [['text', 'Hello there']]);
      assert.equal(message.stop_reason, 'end_turn');
      assert.equal(message.model, at('mock-echo'));
      assert.equal(message.usage.input_tokens, 2);
      assert.equal(message.usage.output_tokens, 2);
    }
  });

  test(`${type}: a tool loop with parallel calls`, async () => {
    for (const stream of [false, true]) {
      const request = { model: at('mock-tools'), tools: declared };
      const first = await answer({ ...request, messages }, stream);
      assert.equal(first.stop_reason, 'tool_use');
      const called = first.content.filter((block) => block.type === 'tool_use');
      assert.deepEqual(called.map((call) => [call.name, call.input]), calls);
      const content = called.map((call, index) => ({
        type: 'tool_result',
        tool_use_id: call.id,
        content: results[index],
      }));
      const history = [...messages, { role: 'assistant', content: first.content }, { role: 'user', content }];
      assert.equal((await answer({ ...request, messages: history }, stream)).content[0].text, afterResults);
    }
  });

  test(`${type}: the tool runner goes through two turns`, async () => {
    const asked = [];
    const tool = betaZodTool({
      name: 'get_weather',
      description: 'The weather of a city',
      inputSchema: z.object({ city: z.string() }),
      run: ({ city }) => {
        asked.push(city);
        return '22 degrees';
      },
    });
    for (const stream of [false, true]) {
      const runner = client.beta.messages.toolRunner({ model: at('mock'), max_tokens: 100, messages, tools: [tool], stream });
      assert.equal((await runner.runUntilDone()).content[0].text, 'The tool answered: 22 degrees');
    }
    assert.deepEqual(asked, ['mock', 'mock']);
  });

  test(`${type}: structured output is parsed`, async () => {
    const schema = z.object({ step: z.object({ text: z.string(), number: z.number() }), done: z.boolean() });
    const request = { model: at('mock'), max_tokens: 100, messages, output_config: { format: zodOutputFormat(schema) } };
    const want = { step: { text: 'mock', number: 1.5 }, done: true };
    assert.deepEqual((await client.messages.parse(request)).parsed_output, want);
  });

  test(`${type}: thinking is shown, and accepted when sent back`, async () => {
    for (const stream of [false, true]) {
      const request = {
        model: at('mock-thinking'),
        max_tokens: 20_000,
        thinking: { type: 'enabled', budget_tokens: 8192 },
      };
      const first = await answer({ ...request, messages }, stream);
      assert.deepEqual(first.content.map((block) => block.type), ['thinking', 'text']);
      assert.match(first.content[0].thinking, /disappointed/);
      if (type !== 'openai') assert.ok(first.content[0].signature);
      const history = [...messages, { role: 'assistant', content: first.content }, { role: 'user', content: 'And now?' }];
      const { data, response } = await client.messages.create({ ...request, messages: history }).withResponse();
      assert.match(data.content.at(-1).text, /friendly/);
      if (type !== 'openai') assert.doesNotMatch(response.headers.get('x-llm-proxy-dropped') ?? '', /reasoning/);
    }
  });

  test(`${type}: tokens are counted`, async () => {
    assert.ok((await client.messages.countTokens({ model: at('mock'), messages })).input_tokens > 0);
  });

  test(`${type}: errors of the provider have the classes of the SDK`, async () => {
    await failsByStatus(Anthropic, (model, stream) =>
      client.messages.create({ model: at(model), max_tokens: 100, messages, stream }),
    );
  });

  test(`${type}: a cut stream throws`, async () => {
    const received = [];
    const stream = await client.messages.create({ model: at('mock-cut'), max_tokens: 100, messages, stream: true });
    const read = async () => {
      for await (const event of stream) received.push(event.type);
    };
    await assert.rejects(read(), (error) => error instanceof Anthropic.APIError && error.error.error.type === 'api_error');
    assert.ok(received.includes('content_block_delta') && !received.includes('message_stop'));
  });

  test(`${type}: a stream that the client aborts is cancelled`, async () => {
    const name = `node-msg-leaver-${type}`;
    const leaver = client.withOptions({ apiKey: await gateway.credential(name) });
    const stream = leaver.messages.stream({ model: at('mock-stall'), max_tokens: 100, messages });
    stream.on('text', () => stream.abort());
    await assert.rejects(stream.done(), Anthropic.APIUserAbortError);
    await eventually(async () => (await gateway.requests({ api_key_name: name, status_code: '499' })) === 1);
  });
}

test('models are listed and retrieved', async () => {
  const id = 'node-msg-openai/mock';
  const narrow = client.withOptions({ apiKey: await gateway.credential('node-msg-narrow', { allowed_models: [id] }) });
  const [model, ...others] = await collect(narrow.models.list());
  assert.deepEqual(others, []);
  assert.equal(model.type, 'model');
  assert.equal(model.id, id);
  assert.ok(model.display_name && model.created_at);
  assert.deepEqual(await narrow.models.retrieve(id), model);
  await assert.rejects(narrow.models.retrieve('nothing'), Anthropic.NotFoundError);
});

test('our own errors have the classes of the SDK', async () => {
  const ask = (from, model) => from.messages.create({ model, max_tokens: 100, messages });
  const blocked = client.withOptions({ apiKey: await gateway.credential('node-msg-blocked', { rate_limit: 0 }) });
  for (const [failed, kind, type] of [
    [() => ask(client.withOptions({ apiKey: 'sk-wrong' }), 'x'), Anthropic.AuthenticationError, 'authentication_error'],
    [() => ask(client, 'nothing'), Anthropic.NotFoundError, 'not_found_error'],
    [() => ask(blocked, 'x'), Anthropic.RateLimitError, 'rate_limit_error'],
  ]) {
    await assert.rejects(failed, (error) => {
      assert.ok(error instanceof kind && error.requestID);
      return error.error.error.type === type;
    });
  }
});
