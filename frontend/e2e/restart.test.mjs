// A server of its own, which is stopped and started again while its page is open, and which lets anybody in.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ADMIN_KEY, MOCK, eventually, shown, withPage } from './support.mjs';

const freePort = () =>
	new Promise((done) => {
		const server = createServer().listen(0, '127.0.0.1', () => {
			const { port } = server.address();
			server.close(() => done(port));
		});
	});

class Server {
	folder = mkdtempSync(join(tmpdir(), 'llm-proxy-page-'));

	async start() {
		this.port ??= await freePort();
		this.origin = `http://127.0.0.1:${this.port}`;
		const settings = { ADMIN_KEY, ALLOW_ANONYMOUS: 'true', HOST: '127.0.0.1', PORT: String(this.port), DB_URL: `sqlite://${this.folder}/test.db` };
		const env = { ...process.env, ...settings, SHUTDOWN_DELAY_SECS: '0', SHUTDOWN_DRAIN_SECS: '1' };
		this.process = spawn(process.env.LLM_PROXY_BIN, ['serve', '--env-file', '/dev/null'], { env, stdio: 'ignore' });
		await eventually(async () => (await fetch(`${this.origin}/health/ready`).catch(() => undefined))?.ok);
	}

	async stop() {
		const gone = new Promise((done) => this.process.once('exit', done));
		this.process.kill();
		await gone;
	}

	async post(path, body) {
		const response = await fetch(`${this.origin}/admin/v1${path}`, { method: 'POST', headers: { authorization: `Bearer ${ADMIN_KEY}` }, body: JSON.stringify(body) });
		assert.ok(response.ok);
		return response.json();
	}
}

test('a server that lets anybody in, goes and comes back', async () => {
	const server = new Server();
	await server.start();
	try {
		const { id } = await server.post('/providers', { provider_key: 'one', provider_type: 'openai', api_base: MOCK, api_key: 'sk-mock-of-the-provider', model_mapping: { 'm-*': 'mock' } });
		await withPage(
			async (page) => {
				const open = (path) => page.goto(`${server.origin}/admin${path}`).then(() => page.locator('main h1').first().waitFor());
				await open('/playground');
				await shown(page, /Clients need no key now/);
				await page.getByLabel('Model').fill('m-1');
				await page.getByLabel('Message', { exact: true }).fill('Hello');
				await page.getByRole('button', { name: 'Send' }).click();
				await page.locator('[data-testid="answer"][data-state="done"]').waitFor();
				await server.post('/credentials', { name: 'first' });
				await page.getByRole('button', { name: 'Create a key for one hour' }).waitFor();

				await open(`/providers/${id}`);
				await page.locator('[data-feed="live"]').first().waitFor({ state: 'attached' });
				await page.getByLabel('Weight').fill('5');
				await server.stop();
				await page.getByTestId('offline').waitFor();
				await page.getByRole('button', { name: 'Save' }).click();
				await shown(page, 'The server cannot be reached.');
				assert.equal(await page.getByLabel('Weight').inputValue(), '5');
				await server.start();
				await page.getByTestId('offline').waitFor({ state: 'detached' });
				await page.getByRole('button', { name: 'Save' }).click();
				await shown(page, 'is saved.');
			},
			{ allowed: [new RegExp(`request: ${server.origin}/`), /WebSocket connection/] }
		);
	} finally {
		await server.stop();
		rmSync(server.folder, { recursive: true });
	}
});
