import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { ADMIN_KEY, admin, credential, eventually, live, open, provider, shown, unique, withPage } from './support.mjs';

let name;
before(async () => {
	name = unique('play');
	await provider({ [`${name}-*`]: 'mock-*', [name]: 'mock' });
});

async function ready(page, model) {
	await open(page, '/playground');
	await page.getByRole('button', { name: 'Create a key for one hour' }).click();
	await shown(page, 'Its key is kept');
	await page.getByLabel('Model').fill(model);
}

async function send(page, text) {
	await page.getByLabel('Message', { exact: true }).fill(text);
	await page.getByRole('button', { name: 'Send' }).click();
}

const answer = (page, state) => page.locator(`[data-testid="answer"][data-state="${state}"]`).last();

for (const protocol of ['openai', 'anthropic', 'response_api']) {
	test(`an answer is streamed over ${protocol}, with reasoning`, () =>
		withPage(async (page) => {
			await ready(page, `${name}-thinking`);
			await page.getByLabel('Protocol').selectOption(protocol);
			await send(page, 'Why?');
			await answer(page, 'done').waitFor();
			await page.getByTestId('reasoning').waitFor({ state: 'attached' });
			assert.match(await answer(page, 'done').innerText(), /first token .* in, .* out/s);
		}));
}

test('markdown and code are set out, and nothing of an answer runs', () =>
	withPage(async (page) => {
		await ready(page, `${name}-echo`);
		await send(page, '# Title\n\n```python\ndef f():\n    return 1\n```\n<img src="https://example.com/x.png" onerror="alert(1)"> <b style="color:red">bold</b>');
		await answer(page, 'done').waitFor();
		await page.locator('.markdown h1', { hasText: 'Title' }).waitFor();
		await page.locator('.markdown pre .hljs-keyword', { hasText: 'def' }).waitFor();
		assert.equal(await page.locator('.markdown img, .markdown [style]').count(), 0);
	}));

test('an answer is stopped half-way', () =>
	withPage(async (page) => {
		await ready(page, `${name}-stall`);
		await send(page, 'Never ends');
		await page.getByRole('button', { name: 'Stop' }).click();
		await answer(page, 'stopped').waitFor();
		await page.getByRole('button', { name: 'Send' }).waitFor();
	}));

test('what goes wrong is told: a refusal, a model that nobody has, a stream that breaks', () =>
	withPage(async (page) => {
		await ready(page, `${name}-status-429`);
		await send(page, 'a');
		await answer(page, 'failed').getByText(/429:/).waitFor();
		await page.getByLabel('Model').fill('nobody-has-this');
		await send(page, 'b');
		await answer(page, 'failed').getByText(/404:/).waitFor();
		await page.getByLabel('Model').fill(`${name}-cut`);
		await send(page, 'c');
		await answer(page, 'failed').getByRole('alert').waitFor();
		await page.getByRole('button', { name: 'Use another key' }).click();
		await page.getByLabel('Its key').fill('sk-not-a-key-of-anybody');
		await page.getByRole('button', { name: 'Use', exact: true }).click();
		await send(page, 'd');
		await answer(page, 'failed').getByText(/401:/).waitFor();
	}));

test('a pasted image is sent, and the command for it leaves the key out', () =>
	withPage(
		async (page) => {
			await ready(page, name);
			await page.getByLabel('Message', { exact: true }).evaluate((area) => {
				const bytes = Uint8Array.from(atob('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='), (c) => c.charCodeAt(0));
				const clipboardData = new DataTransfer();
				clipboardData.items.add(new File([bytes], 'dot.png', { type: 'image/png' }));
				area.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
			});
			await page.getByAltText('Image 1 to send').waitFor();
			await page.getByLabel('Message', { exact: true }).fill("What's this?");
			await page.getByRole('button', { name: 'Copy as curl' }).click();
			const command = await page.evaluate(() => navigator.clipboard.readText());
			assert.match(command, /\$LLM_PROXY_KEY.*image_url.*data:image\/png;base64,/s);
			assert.ok(!/sk-\w{20}/.test(command));
			const asked = page.waitForRequest(/chat\/completions/);
			await page.getByRole('button', { name: 'Send' }).click();
			assert.match((await asked).postData(), /"image_url":\{"url":"data:image\/png/);
			await answer(page, 'done').waitFor();
		},
		{ permissions: ['clipboard-read', 'clipboard-write'] }
	));

test('a key for an hour has the rights of the credential that was picked, and no more', () =>
	withPage(async (page) => {
		const { name: like } = await credential({ allowed_models: [`${name}-echo`] });
		await open(page, '/playground');
		const search = page.getByLabel('Search credentials');
		await eventually(async () => (await page.getByLabel('Credential', { exact: true }).locator('option').count()) > 1);
		if (await search.count()) await search.fill(like);
		await page.getByLabel('Credential', { exact: true }).selectOption(like);
		await page.getByRole('button', { name: 'Create a key for one hour' }).click();
		await page.getByLabel('Model').fill(name);
		await send(page, 'a');
		await answer(page, 'failed').getByText(/403:/).waitFor();
		const { credentials } = await admin('GET', `/credentials?search=${like}`);
		const temporary = credentials.find((one) => one.name === `playground as ${like}`);
		assert.ok(Date.parse(temporary.expires_at) < Date.now() + 3_700_000);
	}));

const temporaries = async (like) => (await admin('GET', `/credentials?search=${like}`)).credentials.filter((one) => one.name === `playground as ${like}`);

async function make(page, like) {
	await open(page, '/playground');
	const search = page.getByLabel('Search credentials');
	await eventually(async () => (await page.getByLabel('Credential', { exact: true }).locator('option').count()) > 1);
	if (await search.count()) await search.fill(like);
	await page.getByLabel('Credential', { exact: true }).selectOption(like);
	await page.getByRole('button', { name: 'Create a key for one hour' }).click();
	await shown(page, 'Its key is kept');
}

for (const [how, leave] of [
	['the page is left', (page) => page.goto('about:blank')],
	['the page is loaded anew', (page) => page.reload()],
	['the operator signs out', (page) => page.getByRole('button', { name: /Sign out/ }).click()]
]) {
	test(`a temporary key goes when ${how}`, () =>
		withPage(async (page) => {
			const { name: like, id } = await credential();
			await make(page, like);
			assert.equal((await temporaries(like)).length, 1);
			// Another page of the same application is no leaving.
			await page.getByRole('link', { name: 'Logs' }).click();
			await page.getByRole('heading', { name: 'Logs' }).waitFor();
			assert.equal((await temporaries(like)).length, 1);
			await leave(page);
			await eventually(async () => (await temporaries(like)).length === 0);
			assert.equal((await admin('GET', `/credentials/${id}`)).name, like);
		}));
}

test('a temporary key that somebody changed is theirs, and stays', () =>
	withPage(async (page) => {
		const { name: like } = await credential();
		await make(page, like);
		const [made] = await temporaries(like);
		await live(page);
		await admin('PUT', `/credentials/${made.id}`, { expires_at: null });
		await eventually(() => page.evaluate(() => localStorage.getItem('llm-proxy.playground') === null));
		await page.goto('about:blank');
		assert.equal((await temporaries(like)).length, 1);
	}));

test('what a crash left behind goes at a later visit, once it has expired, if it is still the same', () =>
	withPage(async (page) => {
		const past = new Date(Date.now() - 60_000).toISOString();
		const future = new Date(Date.now() + 600_000).toISOString();
		const [over, changed, alive] = [await credential({ expires_at: past }), await credential({ expires_at: past }), await credential({ expires_at: future })];
		await admin('PUT', `/credentials/${changed.id}`, { name: `${changed.name}-kept` });
		const left = [over, changed, alive].map(({ key: _key, ...one }) => one);
		await open(page, '/sign-in').catch(() => undefined);
		await page.evaluate((left) => localStorage.setItem('llm-proxy.playground', JSON.stringify(left)), left);
		await open(page, '/playground');
		await eventually(async () => (await admin('GET', `/credentials?search=${over.name}`)).total !== 1 && (await admin('GET', `/credentials?search=${over.name}`)).credentials.length === 0);
		assert.equal((await admin('GET', `/credentials/${changed.id}`)).name, `${changed.name}-kept`);
		assert.equal((await admin('GET', `/credentials/${alive.id}`)).name, alive.name);
		await eventually(() => page.evaluate((id) => JSON.parse(localStorage.getItem('llm-proxy.playground')).every((one) => one.id === id), alive.id));
	}));

test('a conversation is still there after a look at its log, and gone after signing out', () =>
	withPage(async (page) => {
		await ready(page, `${name}-echo`);
		await send(page, 'Remember this');
		await answer(page, 'done').waitFor();
		await page.getByRole('link', { name: 'log', exact: true }).click();
		await page.waitForURL(/request_id=/);
		await page.goBack();
		await page.getByTestId('question').getByText('Remember this').waitFor();
		assert.equal(await page.getByLabel('Model').inputValue(), `${name}-echo`);
		await page.evaluate(() => sessionStorage.setItem('out', '1'));
		await page.getByRole('button', { name: /Sign out/ }).click();
		await page.waitForURL(/sign-in/);
		await page.getByLabel('Admin key').fill(ADMIN_KEY);
		await page.getByRole('button', { name: 'Sign in' }).click();
		await page.getByRole('heading', { name: 'Playground' }).waitFor();
		assert.equal(await page.getByTestId('question').count(), 0);
		await page.getByRole('button', { name: 'Create a key for one hour' }).waitFor();
	}));

test('where clients need no key none is made', () =>
	withPage(async (page) => {
		await page.route(/credentials\?page=1&page_size=1&/, (route) => route.fulfill({ json: { version: 1, credentials: [], total: 0 } }));
		await page.route(/\/v1\/models$/, (route) => route.fulfill({ json: { object: 'list', data: [{ id: 'open-model' }] } }));
		let key = 'none was sent';
		await page.route(/\/v1\/chat\/completions$/, (route) => {
			key = route.request().headers().authorization;
			return route.fulfill({ contentType: 'text/event-stream', body: 'data: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n' });
		});
		await open(page, '/playground');
		await shown(page, /Clients need no key now/);
		assert.equal(await page.getByRole('button', { name: 'Create a key for one hour' }).count(), 0);
		await page.getByLabel('Model').fill('open-model');
		await send(page, 'a');
		await answer(page, 'done').waitFor();
		assert.equal(key, undefined);
	}));

const HOSTILE = [
	'<script>window.__ran = 1</script><img src="https://evil.example/x.png" onerror="window.__ran = 1"><svg onload="window.__ran=1">',
	'![secret](https://evil.example/?q=1) ![x](javascript:window.__ran=1) [a](javascript:window.__ran=1) [b](data:text/html,<script>1</script>) [c](vbscript:x)',
	'<a href="https://evil.example" onclick="window.__ran=1">x</a> <iframe src="https://evil.example"></iframe> <style>@import "https://evil.example";</style>',
	'<https://evil.example/auto> [x](https://evil.example "t\\" onmouseover=window.__ran=1 x=\\"")',
	'<link rel=stylesheet href=https://evil.example> <base href=https://evil.example> <form action=https://evil.example><input autofocus onfocus=window.__ran=1></form>',
	'```html" onmouseover="window.__ran=1\n<b>x</b>\n```',
	`${'>'.repeat(5000)} deep`,
	`${'['.repeat(3000)}`,
	`${'*a '.repeat(3000)}`
];

test('no answer can run a script, load from elsewhere or break the page, however it is written', () =>
	withPage(async (page) => {
		await ready(page, name);
		let text = '';
		await page.route(/\/v1\/chat\/completions$/, (route) =>
			route.fulfill({ contentType: 'text/event-stream', body: `data: ${JSON.stringify({ choices: [{ delta: { content: text } }] })}\n\ndata: [DONE]\n\n` })
		);
		for (text of [...HOSTILE, HOSTILE.join('\n\n')]) {
			await page.getByRole('button', { name: 'Clear' }).click({ force: true }).catch(() => undefined);
			await send(page, 'a');
			await answer(page, 'done').waitFor();
			await eventually(async () => (await page.locator('[data-testid="answer"] > *').count()) > 0);
			const found = await page.locator('[data-testid="answer"]').last().evaluate((answer) => ({
				bad: answer.querySelectorAll('script, img, iframe, style, link, base, form, input, svg:not(button svg), object, embed').length,
				handlers: [...answer.querySelectorAll('*')].flatMap((one) => one.getAttributeNames()).filter((name) => name.startsWith('on') || name === 'style'),
				links: [...answer.querySelectorAll('.markdown a')].map((one) => one.protocol + one.rel)
			}));
			assert.deepEqual([found.bad, found.handlers], [0, []], text.slice(0, 80));
			for (const link of found.links) assert.match(link, /^https?:noopener noreferrer$|^:noopener noreferrer$/, text.slice(0, 80));
		}
		assert.equal(await page.evaluate(() => window.__ran), undefined);
		await page.getByLabel('Model').fill('still alive');
	}));

test('a long answer keeps the page quick and its end in sight', () =>
	withPage(async (page) => {
		await ready(page, name);
		const piece = (index) => `data: ${JSON.stringify({ choices: [{ delta: { content: `word${index} **bold** \`code\` ${index % 20 ? '' : '\n\n'}` } }] })}\n\n`;
		const body = `${Array.from({ length: 6000 }, (_, index) => piece(index)).join('')}data: [DONE]\n\n`;
		await page.route(/\/v1\/chat\/completions$/, (route) => route.fulfill({ contentType: 'text/event-stream', body }));
		const begun = performance.now();
		await send(page, 'long');
		await answer(page, 'done').waitFor();
		await page.getByText('word5999').waitFor();
		console.log(`e2e: an answer of 6,000 pieces was shown in ${(performance.now() - begun).toFixed(0)} ms`);
		await eventually(() => page.evaluate(() => document.documentElement.scrollHeight - innerHeight - scrollY < 100));
		await page.getByLabel('Message', { exact: true }).waitFor();
	}));
