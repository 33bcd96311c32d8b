// A browser before the real server, and what every test of the page wants of both.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';

export const ORIGIN = process.env.LLM_PROXY_URL;
export const MOCK = process.env.LLM_PROXY_MOCK_URL;
export const ADMIN_KEY = process.env.LLM_PROXY_ADMIN_KEY;
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const PATIENCE_MS = 15_000;

let browser;
before(async () => {
	browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-background-networking'] });
});
after(() => browser?.close());

/** A call of the admin API. */
export async function admin(method, path, body) {
	const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'x-admin-actor': 'somebody' };
	const response = await fetch(`${ORIGIN}/admin/v1${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
	const text = await response.text();
	assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
	return text ? JSON.parse(text) : undefined;
}

let made = 0;
export const unique = (name) => `${name}-${++made}-${process.pid}`;

export const provider = (mapping = { mock: 'mock' }, more = {}) =>
	admin('POST', '/providers', {
		provider_key: unique('provider'),
		provider_type: 'openai',
		api_base: MOCK,
		api_key: 'sk-mock-of-the-provider',
		model_mapping: mapping,
		...more
	});

export const credential = (more = {}) => admin('POST', '/credentials', { name: unique('credential'), ...more });

/** A Chat request of a client. */
export async function chat(key, model, more = {}) {
	const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
	const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], ...more });
	const response = await fetch(`${ORIGIN}/v1/chat/completions`, { method: 'POST', headers, body });
	return { status: response.status, text: await response.text(), id: response.headers.get('x-request-id') };
}

/** Waits until `found` gives something. */
export async function eventually(found, patience = PATIENCE_MS) {
	const end = Date.now() + patience;
	for (;;) {
		const value = await found();
		if (value) return value;
		assert.ok(Date.now() < end, `not in ${patience} ms: ${found}`);
		await new Promise((done) => setTimeout(done, 50));
	}
}

/** Runs `work` with a page of its own, and then looks at what the page did meanwhile. */
export async function withPage(work, { signedIn = true, allowed = [], ...options } = {}) {
	const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
	context.setDefaultTimeout(PATIENCE_MS);
	const wrong = [];
	await context.exposeBinding('__violated', (_source, what) => wrong.push(`policy: ${what}`));
	await context.addInitScript(() => {
		addEventListener('securitypolicyviolation', (event) => window.__violated(`${event.violatedDirective} ${event.blockedURI}`));
	});
	if (signedIn) {
		await context.addInitScript((key) => {
			// The empty page before the first one has no storage.
			if (location.protocol.startsWith('http') && !sessionStorage.getItem('out')) sessionStorage.setItem('llm-proxy.admin-key', key);
		}, ADMIN_KEY);
	}
	const watch = (page) => {
		page.on('pageerror', (error) => wrong.push(`error: ${error.message}`));
		page.on('console', (message) => {
			// A refused call is told by the browser, too; the tests look for what the page says of it.
			if (message.type() === 'error' && !message.text().includes('Failed to load resource')) wrong.push(`console: ${message.text()}`);
		});
		page.on('request', (request) => {
			const { origin, protocol } = new URL(request.url());
			if (!['data:', 'blob:'].includes(protocol) && origin !== ORIGIN) wrong.push(`request: ${request.url()}`);
		});
	};
	context.on('page', watch);
	try {
		const page = await context.newPage();
		await work(page, context);
		const dom = await page.content();
		assert.ok(!dom.includes(ADMIN_KEY) && !dom.includes('sk-mock-of-the-provider') && !/sk-[A-Za-z0-9]{48}/.test(dom), 'a secret is in the document');
		assert.deepEqual(wrong.filter((what) => !allowed.some((pattern) => pattern.test(what))), []);
	} finally {
		await context.close();
	}
}

export const open = async (page, path) => {
	await page.goto(`${ORIGIN}/admin${path}`);
	await page.locator('main h1').first().waitFor();
};

/** Waits until the page hears of changes. */
export const live = (page) => page.locator('[data-feed="live"]').first().waitFor({ state: 'attached' });

export const shown = (page, text) => page.getByText(text).first().waitFor();
