// Chat Completions with the official `openai` package, answered by providers of every type.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { afterResults, calls, collect, everyProvider, failsByStatus, providerTypes, results, tools } from './anywhere.mjs';
import { Gateway, eventually } from './gateway.mjs';

const gateway = new Gateway();
const messages = [{ role: 'user', content: 'Hello there' }];
const functions = Object.entries(tools).map(([name, parameters]) => ({
  type: 'function',
  function: { name, parameters },
}));
let client;

before(async () => {
  await everyProvider(gateway, 'node-chat');
  const apiKey = await gateway.credential('node-chat');
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, maxRetries: 0, timeout: 30_000 });
});

after(() => gateway.close());

for (const type of providerTypes) {
  const at = (model) => `node-chat-${type}/${model}`;

  test(`${type}: a whole answer`, async () => {
    const answer = await client.chat.completions.create({ model: at('mock-echo'), messages });
    assert.equal(answer.choices[0].message.content, 'Hello there');
    assert.equal(answer.choices[0].finish_reason, 'stop');
    assert.equal(answer.model, at('mock-echo'));
    assert.equal(answer.usage.total_tokens, 4);
  });

  test(`${type}: a stream accumulates`, async () => {
    const request = { model: at('mock-echo'), messages, stream_options: { include_usage: true } };
    const final = await client.chat.completions.stream(request).finalChatCompletion();
    assert.equal(final.choices[0].message.content, 'Hello there');
    assert.equal(final.model, at('mock-echo'));
    assert.equal(final.usage.total_tokens, 4);
  });

  test(`${type}: a tool loop with parallel calls`, async () => {
    for (const stream of [false, true]) {
      const request = { model: at('mock-tools'), messages, tools: functions };
      const first = stream
        ? await client.chat.completions.stream(request).finalMessage()
        : (await client.chat.completions.create(request)).choices[0].message;
      const called = first.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
      assert.deepEqual(called, calls);
      const answers = first.tool_calls.map((call, index) => ({
        role: 'tool',
        tool_call_id: call.id,
        content: results[index],
      }));
      const second = await client.chat.completions.create({ ...request, messages: [...messages, first, ...answers] });
      assert.equal(second.choices[0].message.content, afterResults);
    }
  });

  test(`${type}: structured output is parsed`, async () => {
    const schema = z.object({ step: z.object({ text: z.string(), number: z.number() }), done: z.boolean() });
    const response_format = zodResponseFormat(schema, 'solution');
    const answer = await client.chat.completions.parse({ model: at('mock'), messages, response_format });
    assert.deepEqual(answer.choices[0].message.parsed, { step: { text: 'mock', number: 1.5 }, done: true });
  });

  test(`${type}: reasoning is shown`, async () => {
    const request = { model: at('mock-thinking'), messages, reasoning_effort: 'medium' };
    const whole = (await client.chat.completions.create(request)).choices[0].message;
    assert.match(whole.reasoning_content, /disappointed/);
    const chunks = await collect(await client.chat.completions.create({ ...request, stream: true }));
    const reasoning = chunks.map((chunk) => chunk.choices[0]?.delta.reasoning_content ?? '').join('');
    assert.equal(reasoning, whole.reasoning_content);
  });

  test(`${type}: errors of the provider have the classes of the SDK`, async () => {
    await failsByStatus(OpenAI, (model, stream) =>
      client.chat.completions.create({ model: at(model), messages, stream }),
    );
  });

  test(`${type}: a stream that the client aborts is cancelled`, async () => {
    const name = `node-chat-leaver-${type}`;
    const leaver = client.withOptions({ apiKey: await gateway.credential(name) });
    const stream = await leaver.chat.completions.create({ model: at('mock-stall'), messages, stream: true });
    for await (const chunk of stream) {
      assert.equal(chunk.model, at('mock-stall'));
      stream.controller.abort();
    }
    await eventually(async () => (await gateway.requests({ api_key_name: name, status_code: '499' })) === 1);
  });
}
