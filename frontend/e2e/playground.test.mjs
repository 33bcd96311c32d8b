import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { admin, credential, eventually, open, provider, shown, unique, withPage } from './support.mjs';

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
