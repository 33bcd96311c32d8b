// What the tests of every protocol share: one provider of each type, and tools.

import assert from 'node:assert/strict';

export const providerTypes = ['openai', 'anthropic', 'response_api'];

/** Makes a provider of each type: the mock, under the names `<prefix>-<type>/<name at the mock>`. */
export async function everyProvider(gateway, prefix) {
  for (const type of providerTypes) {
    await gateway.provider(`${prefix}-${type}`, type, { [`${prefix}-${type}/*`]: '*' });
  }
}

/** The JSON schema of two tools, by name, and what the mock calls them with. */
export const tools = {
  get_weather: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  get_time: {
    type: 'object',
    properties: { zone: { type: 'string' }, offset: { type: 'integer' } },
    required: ['zone', 'offset'],
  },
};
export const calls = [
  ['get_weather', { city: 'mock' }],
  ['get_time', { zone: 'mock', offset: 1 }],
];
export const results = ['22 degrees', 'noon'];
export const afterResults = 'The tool answered: 22 degrees, noon';

/** The class that both SDKs have for a status, by its name. */
export const classes = {
  400: 'BadRequestError',
  401: 'AuthenticationError',
  403: 'PermissionDeniedError',
  404: 'NotFoundError',
  429: 'RateLimitError',
  500: 'InternalServerError',
  529: 'InternalServerError',
};

/** Asserts that `ask` of a model fails with the class of each status. */
export async function failsByStatus(sdk, ask) {
  for (const [status, name] of Object.entries(classes)) {
    for (const stream of [false, true]) {
      await assert.rejects(
        ask(`mock-status-${status}`, stream),
        (error) => {
          assert.ok(error instanceof sdk[name], error.constructor.name);
          assert.equal(error.status, Number(status));
          assert.equal(error.headers.get('x-llm-proxy-error-source'), 'upstream');
          return error.message.includes(status);
        },
        `${status} ${stream}`,
      );
    }
  }
}

export async function collect(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}
