// The server under test, as its operator configures it.

const url = process.env.LLM_PROXY_URL;
const mock = process.env.LLM_PROXY_MOCK_URL;
const adminKey = process.env.LLM_PROXY_ADMIN_KEY;

/** Configures through the admin API, and removes what it made. */
export class Gateway {
  #made = [];

  /** The address for clients. */
  url = url;

  /** Calls the admin API; gives the JSON of its answer. */
  async admin(method, path, body) {
    const answer = await fetch(`${url}/admin/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  /** Makes a provider with the mock behind it. */
  async provider(key, type, mapping) {
    const body = { provider_key: key, provider_type: type, api_base: mock, api_key: 'sk-mock', model_mapping: mapping };
    this.#made.push(`/providers/${(await this.admin('POST', '/providers', body)).id}`);
  }

  /** Makes a credential; gives its plain key. */
  async credential(name, fields = {}) {
    const made = await this.admin('POST', '/credentials', { name, ...fields });
    this.#made.push(`/credentials/${made.id}`);
    return made.key;
  }

  /** How many finished requests have all of these labels. */
  async requests(labels) {
    const text = await (await fetch(`${url}/metrics`)).text();
    const wanted = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
    const lines = text.split('\n').filter((line) => line.startsWith('llm_proxy_requests_total{'));
    const matching = lines.filter((line) => wanted.every((label) => line.includes(label)));
    return matching.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  async close() {
    for (const path of this.#made.reverse()) await this.admin('DELETE', path);
  }
}

/** Asks again until a condition holds, for effects that nobody announces. */
export async function eventually(condition) {
  const end = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('it did not happen');
  }
}
