// Responses with the official `openai` package, answered by providers of every type.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { afterResults, calls, collect, everyProvider, failsByStatus, providerTypes, results, tools } from './anywhere.mjs';
import { Gateway, eventually } from './gateway.mjs';

const gateway = new Gateway();
const functions = Object.entries(tools).map(([name, parameters]) => ({ type: 'function', name, parameters }));
let client;

/** The response, whole or put together by the SDK. */
function respond(request, stream) {
  return stream ? client.responses.stream(request).finalResponse() : client.responses.create(request);
}

before(async () => {
  await everyProvider(gateway, 'node-resp');
  const apiKey = await gateway.credential('node-resp');
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, maxRetries: 0, timeout: 30_000 });
});

after(() => gateway.close());

for (const type of providerTypes) {
  const at = (model) => `node-resp-${type}/${model}`;

  test(`${type}: an answer, whole and streamed`, async () => {
    for (const stream of [false, true]) {
      const answer = await respond({ model: at('mock-echo'), input: 'Hello there' }, stream);
      assert.equal(answer.output_text, 'Hello there');
      assert.equal(answer.status, 'completed');
      assert.equal(answer.model, at('mock-echo'));
      assert.equal(answer.usage.total_tokens, 4);
    }
  });

  test(`${type}: events are numbered and say what they add`, async () => {
    const events = await collect(await client.responses.create({ model: at('mock-echo'), input: 'Hello there', stream: true }));
    assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
    assert.equal(events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join(''), 'Hello there');
    assert.equal(events.at(-1).type, 'response.completed');
  });

  test(`${type}: a tool loop with parallel calls`, async () => {
    for (const stream of [false, true]) {
      const request = { model: at('mock-tools'), tools: functions };
      const input = [{ role: 'user', content: 'Hello there' }];
      const first = await respond({ ...request, input }, stream);
      const called = first.output.filter((item) => item.type === 'function_call');
      assert.deepEqual(called.map((call) => [call.name, JSON.parse(call.arguments)]), calls);
      for (const [index, call] of called.entries()) {
        const { type: kind, call_id, name, arguments: args } = call;
        input.push({ type: kind, call_id, name, arguments: args });
        input.push({ type: 'function_call_output', call_id, output: results[index] });
      }
      // Calls and results of one turn may come in pairs; results of the last call count.
      const second = await respond({ ...request, input }, stream);
      assert.match(second.output_text, /^The tool answered: .*noon$/);
      const ordered = [input[0], ...input.filter((item) => item.name), ...input.filter((item) => item.output)];
      assert.equal((await respond({ ...request, input: ordered }, stream)).output_text, afterResults);
    }
  });

  test(`${type}: structured output is parsed`, async () => {
    const schema = z.object({ step: z.object({ text: z.string(), number: z.number() }), done: z.boolean() });
    const request = { model: at('mock'), input: 'Hello', text: { format: zodTextFormat(schema, 'solution') } };
    const want = { step: { text: 'mock', number: 1.5 }, done: true };
    assert.deepEqual((await client.responses.parse(request)).output_parsed, want);
    assert.deepEqual((await client.responses.stream(request).finalResponse()).output_parsed, want);
  });

  test(`${type}: reasoning is shown, and accepted when sent back`, async () => {
    for (const stream of [false, true]) {
      const request = {
        model: at('mock-thinking'),
        reasoning: { effort: 'medium', summary: 'auto' },
        include: ['reasoning.encrypted_content'],
        store: false,
      };
      const input = [{ role: 'user', content: 'Hello there' }];
      const first = await respond({ ...request, input }, stream);
      assert.deepEqual(first.output.map((item) => item.type), ['reasoning', 'message']);
      assert.match(first.output[0].summary[0].text, /disappointed/);
      if (type !== 'openai') assert.ok(first.output[0].encrypted_content);
      const { id, summary, encrypted_content } = first.output[0];
      const reasoning = { type: 'reasoning', id, summary, encrypted_content };
      input.push(reasoning, { role: 'assistant', content: first.output_text }, { role: 'user', content: 'And now?' });
      const { data, response } = await client.responses.create({ ...request, input }).withResponse();
      assert.match(data.output_text, /friendly/);
      if (type !== 'openai') assert.doesNotMatch(response.headers.get('x-llm-proxy-dropped') ?? '', /reasoning/);
    }
  });

  test(`${type}: errors of the provider have the classes of the SDK`, async () => {
    await failsByStatus(OpenAI, (model, stream) => client.responses.create({ model: at(model), input: 'Hello', stream }));
  });

  test(`${type}: a cut stream fails`, async () => {
    const events = await collect(await client.responses.create({ model: at('mock-cut'), input: 'Hello', stream: true }));
    assert.ok(events.some((event) => event.type === 'response.output_text.delta'));
    assert.equal(events.at(-2).code, 'upstream_stream_error');
    assert.equal(events.at(-1).response.status, 'failed');
  });

  test(`${type}: a stream that the client aborts is cancelled`, async () => {
    const name = `node-resp-leaver-${type}`;
    const leaver = client.withOptions({ apiKey: await gateway.credential(name) });
    const stream = await leaver.responses.create({ model: at('mock-stall'), input: 'Hello', stream: true });
    for await (const event of stream) {
      if (event.type === 'response.output_text.delta') stream.controller.abort();
    }
    await eventually(async () => (await gateway.requests({ api_key_name: name, status_code: '499' })) === 1);
  });
}

test('our own errors have the classes of the SDK', async () => {
  const ask = (from, model) => from.responses.create({ model, input: 'Hello' });
  const blocked = client.withOptions({ apiKey: await gateway.credential('node-resp-blocked', { rate_limit: 0 }) });
  for (const [answer, kind, code] of [
    [() => ask(client.withOptions({ apiKey: 'sk-wrong' }), 'x'), OpenAI.AuthenticationError, 'invalid_api_key'],
    [() => ask(client, 'nothing'), OpenAI.NotFoundError, 'model_not_found'],
    [() => ask(blocked, 'x'), OpenAI.RateLimitError, 'rate_limit_exceeded'],
  ]) {
    await assert.rejects(answer, (error) => error instanceof kind && error.code === code);
  }
});
