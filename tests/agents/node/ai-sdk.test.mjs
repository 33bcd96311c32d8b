// The AI SDK of Vercel, with its providers for the three protocols.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, Output, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { Gateway } from '../../sdk/node/gateway.mjs';

const gateway = new Gateway();
const models = {};
const common = { maxRetries: 0, stopWhen: stepCountIs(4) };

before(async () => {
  for (const type of ['openai', 'anthropic', 'response_api']) {
    await gateway.provider(`ai-sdk-${type}`, type, { [`ai-sdk-${type}/*`]: '*' });
  }
  const settings = { baseURL: `${gateway.url}/v1`, apiKey: await gateway.credential('ai-sdk') };
  const openai = createOpenAI(settings);
  Object.assign(models, { chat: openai.chat, responses: openai.responses, messages: createAnthropic(settings) });
});

after(() => gateway.close());

/** Two tools that note with what they were called. */
function toolbox() {
  const called = [];
  const make = (description, inputSchema, answer) =>
    tool({
      description,
      inputSchema,
      execute: (input) => {
        called.push(input);
        return answer;
      },
    });
  const tools = {
    get_weather: make('The weather of a city', z.object({ city: z.string() }), '22 degrees'),
    get_time: make('The time in a zone', z.object({ zone: z.string() }), 'noon'),
  };
  return { called, tools };
}

for (const type of ['openai', 'anthropic', 'response_api']) {
  for (const protocol of ['chat', 'responses', 'messages']) {
    const at = (model) => models[protocol](`ai-sdk-${type}/${model}`);

    test(`${protocol} at ${type}: text and usage`, async () => {
      const result = await generateText({ ...common, model: at('mock-echo'), prompt: 'Hello there' });
      assert.equal(result.text, 'Hello there');
      assert.equal(result.finishReason, 'stop');
      assert.equal(result.usage.totalTokens, 4);
    });

    test(`${protocol} at ${type}: a stream`, async () => {
      const result = streamText({ ...common, model: at('mock-echo'), prompt: 'Hello there' });
      const pieces = [];
      for await (const piece of result.textStream) pieces.push(piece);
      assert.ok(pieces.length > 1);
      assert.equal(pieces.join(''), 'Hello there');
      assert.equal((await result.usage).totalTokens, 4);
      assert.equal(await result.finishReason, 'stop');
    });

    test(`${protocol} at ${type}: a tool loop with parallel calls`, async () => {
      const { called, tools } = toolbox();
      const result = await generateText({ ...common, model: at('mock-tools'), prompt: 'Hello', tools });
      assert.equal(result.steps.length, 2);
      assert.deepEqual(called, [{ city: 'mock' }, { zone: 'mock' }]);
      assert.equal(result.text, 'The tool answered: 22 degrees, noon');
    });

    test(`${protocol} at ${type}: a streamed tool loop`, async () => {
      const { called, tools } = toolbox();
      const result = streamText({ ...common, model: at('mock'), prompt: 'Hello', tools });
      assert.equal(await result.text, 'The tool answered: 22 degrees');
      assert.deepEqual(called, [{ city: 'mock' }]);
    });

    test(`${protocol} at ${type}: structured output`, async () => {
      const output = Output.object({ schema: z.object({ city: z.string(), big: z.boolean() }) });
      const result = await generateText({ ...common, model: at('mock'), prompt: 'Where?', output });
      assert.deepEqual(result.output, { city: 'mock', big: true });
    });

    test(`${protocol} at ${type}: an error`, async () => {
      const answer = generateText({ ...common, model: at('mock-status-429'), prompt: 'Hello' });
      await assert.rejects(answer, (error) => APICallError.isInstance(error) && error.statusCode === 429);
    });

    // Its Chat provider knows no reasoning text.
    if (protocol !== 'chat') {
      test(`${protocol} at ${type}: reasoning through two turns`, async () => {
        const providerOptions = {
          anthropic: { thinking: { type: 'enabled', budgetTokens: 8192 } },
          openai: { forceReasoning: true, reasoningEffort: 'medium', reasoningSummary: 'auto', store: false },
        };
        const messages = [{ role: 'user', content: 'Hello there' }];
        const request = { ...common, model: at('mock-thinking'), providerOptions };
        const first = await generateText({ ...request, messages });
        assert.match(first.reasoningText, /disappointed/);
        messages.push(...first.response.messages, { role: 'user', content: 'And now?' });
        const second = await generateText({ ...request, messages });
        assert.match(second.text, /friendly/);
        // A Chat provider has no place for what proves that the reasoning is its own.
        if (type !== 'openai') assert.doesNotMatch(second.response.headers['x-llm-proxy-dropped'] ?? '', /reasoning/);
      });
    }
  }
}
