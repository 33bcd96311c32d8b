// Forms: what is unsaved, what is slow, what is huge, what is odd.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from './fill.mjs';
import { MOCK, admin, credential, eventually, live, open, provider, shown, unique, withPage } from './support.mjs';

test('what is not saved is not left without a question', () =>
	withPage(async (page) => {
		const { id, provider_key: key } = await provider();
		await open(page, `/providers?search=${key}`);
		await page.getByRole('link', { name: key, exact: true }).click();
		await page.getByLabel('Weight').fill('9');
		await page.getByRole('link', { name: 'Logs' }).click();
		await page.getByRole('dialog').getByText('Leave without saving?').waitFor();
		await page.getByRole('button', { name: 'Stay' }).click();
		assert.equal(await page.getByLabel('Weight').inputValue(), '9');
		await page.goBack().catch(() => undefined);
		await page.getByRole('button', { name: 'Stay' }).click();
		assert.match(page.url(), new RegExp(`/providers/${id}$`));
		await page.getByRole('link', { name: 'Logs' }).click();
		await page.getByRole('button', { name: 'Leave', exact: true }).click();
		await page.waitForURL(/\/logs$/);
		assert.equal((await admin('GET', `/providers/${id}`)).weight, 1);
		await admin('DELETE', `/providers/${id}`);
	}));

test('a key that was not copied yet is not left without a question', () =>
	withPage(async (page) => {
		await open(page, '/credentials');
		await page.getByRole('link', { name: /New credential|Create the first/ }).first().click();
		await page.getByLabel('Name', { exact: true }).fill(unique('once'));
		await page.getByRole('button', { name: 'Create' }).dblclick();
		const key = await page.getByTestId('new-key').innerText();
		await page.goBack().catch(() => undefined);
		await page.getByText('The key is not shown again.').waitFor();
		await page.getByRole('button', { name: 'Stay' }).click();
		assert.equal(await page.getByTestId('new-key').innerText(), key);
		await page.getByRole('button', { name: 'I have copied it' }).click();
		await page.waitForURL(/\/credentials\/\d+$/);
	}));

test('two clicks create one row', () =>
	withPage(async (page) => {
		const key = unique('double');
		await page.route(/\/admin\/v1\/providers$/, async (route) => {
			await new Promise((done) => setTimeout(done, 300));
			await route.continue();
		});
		let asked = 0;
		page.on('request', (request) => (asked += request.method() === 'POST' && /providers$/.test(request.url()) ? 1 : 0));
		await open(page, '/providers/new');
		await page.getByLabel('Name', { exact: true }).fill(key);
		await page.getByLabel('Base URL').fill(MOCK);
		await page.getByLabel("Provider's key").fill('sk-mock-of-the-provider');
		await page.getByRole('button', { name: 'Create' }).dblclick();
		await page.getByRole('heading', { name: key }).waitFor();
		assert.equal(asked, 1);
		assert.equal((await admin('GET', `/providers?search=${key}`)).providers.length, 1);
	}));

test('what is written while a slow answer is on its way stays', () =>
	withPage(async (page) => {
		const { id } = await provider();
		await open(page, `/providers/${id}`);
		await live(page);
		let answer;
		const held = new Promise((done) => (answer = done));
		await page.route(/\/admin\/v1\/providers\/\d+$/, async (route) => {
			if (route.request().method() !== 'PUT') return route.continue();
			const response = await route.fetch();
			await held;
			return route.fulfill({ response });
		});
		await page.getByLabel('Weight').fill('7');
		await page.getByRole('button', { name: 'Save' }).click();
		await eventually(async () => (await admin('GET', `/providers/${id}`)).weight === 7);
		await page.getByLabel('Base URL').fill(`${MOCK}/later`);
		answer();
		await shown(page, 'is saved.');
		await page.getByText('Not saved yet').waitFor();
		assert.equal(await page.getByLabel('Base URL').inputValue(), `${MOCK}/later`);
		await page.getByRole('button', { name: 'Save' }).click();
		await eventually(async () => (await admin('GET', `/providers/${id}`)).api_base === `${MOCK}/later`);
		await page.getByText('Not saved yet').waitFor({ state: 'detached' });
		await admin('DELETE', `/providers/${id}`);
	}));

test('the page and the server agree on what a name becomes', () =>
	withPage(async (page) => {
		const mapping = {
			exact: 'one',
			'*': 'any-*',
			'a-*-z': '*-mid',
			'(?i)upper-(.+)': 'i-$1',
			'(?P<size>big|small)-(x)?y': '${size}/$2/$$',
			'c\\-d\\.(\\d{2})': 'cd-$1',
			'gpt-.*': 'g'
		};
		const { id, provider_key: key } = await provider(mapping);
		await open(page, `/providers/${id}`);
		// Any change makes the page tell what it thinks beside what the server says.
		await page.getByLabel('Weight').fill('2');
		const result = page.getByTestId('mapping-result');
		for (const name of ['exact', 'else', 'a-b-z', 'UPPER-x', 'big-y', 'small-xy', 'c-d.12', 'c-d.1', 'gpt-4', 'ähnlich-*']) {
			const told = await admin('POST', '/explain', { model: name, protocol: 'openai' });
			const own = told.candidates.find((candidate) => candidate.provider_key === key);
			await page.getByLabel('Test a model name').fill(name);
			const lines = await eventually(async () => {
				const all = await result.locator('p').allInnerTexts();
				return all.length === 2 ? all : undefined;
			});
			for (const line of lines) assert.ok(line.includes(` ${own.mapped_model} ${own.match} ${own.mapping_key}`), `${name}: ${lines} is not ${own.mapped_model} by ${own.mapping_key}`);
		}
		await page.getByRole('button', { name: 'Undo' }).click();
		await admin('DELETE', `/providers/${id}`);
	}));

test('a mapping of thousands of models is edited as quickly as a small one', () =>
	withPage(async (page) => {
		const mapping = Object.fromEntries(Array.from({ length: 4000 }, (_, index) => [`model-${index}`, 'mock']));
		const { id } = await provider(mapping);
		const begun = performance.now();
		await open(page, `/providers/${id}`);
		await page.getByLabel('Name for clients, row 1', { exact: true }).waitFor();
		const opened = performance.now();
		await page.getByLabel('Filter the models').fill('model-3999');
		const target = page.getByLabel('Name at the provider, row 4000', { exact: true });
		await target.fill('mock-echo');
		await page.getByRole('button', { name: 'Add a model' }).click();
		await page.keyboard.type('model-17');
		// The other row of that name is out of sight, and found.
		await page.getByLabel(/Show only rows with a problem \(2\)/).check();
		await page.getByLabel('Filter the models').fill('');
		await page.getByText('This name is used twice.').waitFor();
		await page.getByLabel('Name for clients, row 1', { exact: true }).fill('model-new');
		await page.getByLabel('Name at the provider, row 1', { exact: true }).fill('mock');
		await page.getByRole('button', { name: 'Save' }).click();
		await shown(page, 'is saved.');
		console.log(`e2e: 4,000 models: opened in ${(opened - begun).toFixed(0)} ms, edited and saved in ${(performance.now() - opened).toFixed(0)} ms`);
		const saved = (await admin('GET', `/providers/${id}`)).model_mapping;
		assert.deepEqual([Object.keys(saved).length, saved['model-3999'], saved['model-new']], [4001, 'mock-echo', 'mock']);
		await admin('DELETE', `/providers/${id}`);
	}));

test('names that are long, foreign or look like HTML are shown as they are and break nothing', () =>
	withPage(
		async (page) => {
			const names = ['x'.repeat(255), '<img src=x onerror=alert(1)>', '‮desrever‬ שלום عليكم', `${'ab '.repeat(80)}`.trim(), '日本語'.repeat(60)];
			const made = [];
			for (const name of names) made.push(await credential({ name, allowed_models: ['m'.repeat(200), '*'] }));
			const { id } = await provider({ ['k'.repeat(255)]: 'v'.repeat(255) }, { provider_key: `p${'y'.repeat(254)}`, api_base: `${MOCK}/${'z'.repeat(400)}` });
			for (const path of ['/credentials', '/providers', `/providers/${id}`, '/configuration', '/health', ...made.map((one) => `/credentials/${one.id}`), '/playground']) {
				await open(page, path);
				await eventually(async () => (await page.getByText('Loading …').count()) === 0);
				const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
				assert.ok(wide <= 0, `${path} is ${wide} px wider than the screen`);
				const hidden = await page.evaluate(() => [...document.querySelectorAll('main [role="region"]')].map((box) => box.scrollWidth - box.clientWidth));
				assert.ok(hidden.every((px) => px <= 0), `${path} hides ${hidden} px of a list`);
			}
			assert.equal(await page.locator('img').count(), 0);
			await open(page, '/credentials');
			await page.getByRole('button', { name: `Delete ${names[0]}` }).click();
			const box = await page.getByRole('dialog').boundingBox();
			assert.ok(box.x >= 0 && box.x + box.width <= 375, JSON.stringify(box));
			await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
			for (const one of made) await admin('DELETE', `/credentials/${one.id}`);
			await admin('DELETE', `/providers/${id}`);
		},
		{ viewport: { width: 375, height: 800 } }
	));

test('what plain SQL broke is told, and can still be opened and mended', () =>
	withPage(async (page) => {
		const { id } = await provider({ a: 'b' });
		sql(`UPDATE providers SET model_mapping = '{"a": 5, "b": null, "c": {"max_tokens": 3}, "good": "mock"}' WHERE id = ${id}`);
		await open(page, '/configuration');
		const told = page.getByTestId('row-problems');
		await told.getByText('model_mapping.a').waitFor();
		await told.getByRole('link', { name: `provider ${id}` }).first().click();
		await page.getByText('The name at the provider is missing.').nth(2).waitFor();
		await page.getByTestId('row-problems').getByText('model_mapping.b').waitFor();
		for (let left = 3; left > 0; left--) await page.getByRole('button', { name: 'Remove row 1' }).click();
		await page.getByRole('button', { name: 'Save' }).click();
		await shown(page, 'is saved.');
		await page.getByTestId('row-problems').waitFor({ state: 'detached' });
		assert.deepEqual((await admin('GET', `/providers/${id}`)).model_mapping, { good: 'mock' });
		await admin('DELETE', `/providers/${id}`);
	}));

test('a form notices what plain SQL changed, which leaves the time of the last change as it was', () =>
	withPage(async (page) => {
		const { id } = await provider();
		await open(page, `/providers/${id}`);
		await live(page);
		await page.getByLabel('Base URL').fill(`${MOCK}/mine`);
		sql(`UPDATE providers SET weight = 77 WHERE id = ${id}`);
		await page.getByTestId('conflict').getByText(/changed this while you had it open \(weight\)/).waitFor();
		await page.getByRole('button', { name: 'Keep mine' }).click();
		await page.getByRole('button', { name: 'Save' }).click();
		await shown(page, 'is saved.');
		const saved = await admin('GET', `/providers/${id}`);
		assert.deepEqual([saved.weight, saved.api_base], [77, `${MOCK}/mine`]);
		await admin('DELETE', `/providers/${id}`);
	}));
