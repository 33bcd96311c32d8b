// The Codex CLI: it is told to run a command, and tells what the command printed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Gateway } from '../../sdk/node/gateway.mjs';

const codex = fileURLToPath(new URL('node_modules/.bin/codex', import.meta.url));
const gateway = new Gateway();
const outside = [];
let guard, home, key;

/** Its settings: our address, and nothing that would look further than that. */
const settings = () => `
model_provider = "llm-proxy"
model_reasoning_effort = "medium"
model_reasoning_summary = "auto"
model_supports_reasoning_summaries = true
check_for_update_on_startup = false
analytics.enabled = false
feedback.enabled = false
features.plugins = false

[model_providers.llm-proxy]
name = "llm-proxy"
base_url = "${gateway.url}/v1"
env_key = "LLM_PROXY_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
`;

/** Answers every request for an outside address with a refusal, and notes it. */
async function refuseOutside() {
  const refuse = (request) => outside.push(`${request.method} ${request.url}`);
  const server = createServer((request, response) => {
    refuse(request);
    response.writeHead(403).end();
  });
  server.on('connect', (request, socket) => {
    refuse(request);
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** Runs `codex exec` to its end; gives its exit code, its events and what it said besides. */
async function exec(...args) {
  const outsideThrough = `http://127.0.0.1:${guard.address().port}`;
  const options = ['--json', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox'];
  const child = spawn(codex, ['exec', ...args.slice(0, -1), ...options, args.at(-1)], {
    cwd: join(home, 'work'),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    env: {
      PATH: process.env.PATH,
      HOME: home,
      CODEX_HOME: join(home, 'codex'),
      LLM_PROXY_KEY: key,
      HTTP_PROXY: outsideThrough,
      HTTPS_PROXY: outsideThrough,
      NO_PROXY: '127.0.0.1',
    },
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (data) => (output += data));
  child.stderr.on('data', (data) => (errors += data));
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  const events = output.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  const items = events.filter((event) => event.type === 'item.completed').map((event) => event.item);
  return { code, events, items, errors };
}

before(async () => {
  guard = await refuseOutside();
  // Not in the system's folder for temporary files, where Codex refuses to put its helpers.
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'llm-proxy');
  await mkdir(cache, { recursive: true });
  home = await mkdtemp(join(cache, 'codex-'));
  for (const folder of ['work', 'codex', 'bin']) await mkdir(join(home, folder));
  await writeFile(join(home, 'codex', 'config.toml'), settings());
  // The mock fills the arguments of a tool with its own name, so this is the command it runs.
  const command = join(home, 'bin', 'mock');
  await writeFile(command, '#!/bin/sh\necho "the command was here"\n');
  await chmod(command, 0o755);
  // Codex runs commands in a login shell, which sets a PATH of its own.
  for (const file of ['.bash_profile', '.profile', '.zprofile']) {
    await writeFile(join(home, file), `PATH=${join(home, 'bin')}:$PATH\n`);
  }
  for (const type of ['openai', 'anthropic', 'response_api']) {
    await gateway.provider(`codex-${type}`, type, { [`codex-${type}/*`]: '*' });
  }
  key = await gateway.credential('codex');
});

after(async () => {
  guard.close();
  await rm(home, { recursive: true, force: true });
  await gateway.close();
});

for (const type of ['openai', 'anthropic', 'response_api']) {
  test(`at ${type}: a task with a command`, async () => {
    const { code, events, items, errors } = await exec('--ephemeral', '-m', `codex-${type}/mock`, 'Run the command');
    assert.equal(code, 0, errors);
    const command = items.find((item) => item.type === 'command_execution');
    assert.equal(command.exit_code, 0, command.aggregated_output);
    assert.equal(command.aggregated_output, 'the command was here\n');
    const said = items.filter((item) => item.type === 'agent_message').map((item) => item.text);
    assert.match(said.at(-1), /^The tool answered: [^]*the command was here/);
    const { usage } = events.at(-1);
    assert.ok(usage.input_tokens > 0 && usage.output_tokens > 0);
  });

  test(`at ${type}: reasoning through a resumed session`, async () => {
    const model = `codex-${type}/mock-thinking`;
    const first = await exec('-m', model, 'Hello there');
    assert.equal(first.code, 0, first.errors);
    const thread = first.events.find((event) => event.type === 'thread.started').thread_id;
    const second = await exec('resume', thread, '-m', model, 'And now?');
    assert.equal(second.code, 0, second.errors);
    for (const { items } of [first, second]) {
      assert.match(items.find((item) => item.type === 'reasoning').text, /disappointed/);
      assert.match(items.findLast((item) => item.type === 'agent_message').text, /friendly/);
    }
  });

  test(`at ${type}: an error of the provider ends the task`, async () => {
    const { code, events } = await exec('--ephemeral', '-m', `codex-${type}/mock-status-400`, 'Hello');
    assert.notEqual(code, 0);
    const failed = events.find((event) => event.type === 'turn.failed');
    assert.match(failed.error.message, /the mock answers with status 400/i);
  });
}

test('it talked to nobody else', () => assert.deepEqual(outside, []));
