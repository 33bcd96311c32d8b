import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MOCK, admin, eventually, live, open, provider, shown, unique, withPage } from './support.mjs';

const row = (page, key) => page.locator(`[data-testid="provider"][data-key="${key}"]`);
const search = (page, text) => page.getByLabel('Search name, type, address, model').fill(text);

test('a provider is found, switched off and deleted in the list', () =>
	withPage(async (page) => {
		const { provider_key: key, id } = await provider();
		await open(page, '/providers');
		await search(page, key);
		await page.waitForURL(new RegExp(`search=${key}`));
		await row(page, key).getByText('closed').waitFor();
		await page.getByRole('switch', { name: `Enable ${key}` }).click();
		await row(page, key).getByText('disabled').waitFor();
		assert.equal((await admin('GET', `/providers/${id}`)).is_enabled, false);
		await page.getByRole('button', { name: `Delete ${key}` }).click();
		await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
		await shown(page, 'No provider matches.');
	}));

test('what the server refuses is told at its field', () =>
	withPage(async (page) => {
		const { provider_key: key } = await provider();
		await open(page, '/providers/new');
		await page.getByLabel('Name', { exact: true }).fill(key);
		await page.getByLabel('Base URL').fill(MOCK);
		await page.getByLabel("Provider's key").fill('sk-x');
		await page.getByLabel('Name for clients, row 1').fill('(');
		await page.getByLabel('Name at the provider, row 1').fill('x');
		await page.getByTestId('mapping-row').getByRole('alert').waitFor();
		assert.ok(await page.getByRole('button', { name: 'Create' }).isDisabled());
		await page.getByLabel('Name for clients, row 1').fill('a');
		await page.getByRole('button', { name: 'Create' }).click();
		await shown(page, `Provider with key '${key}' already exists`);
	}));

test('the mapping is tested as it is written and as it is saved', () =>
	withPage(async (page) => {
		const { id } = await provider({ 'old-*': 'mock' });
		await open(page, `/providers/${id}`);
		const result = page.getByTestId('mapping-result');
		await page.getByLabel('Test a model name').fill('old-one');
		await result.getByText('wildcard old-*').waitFor();
		await page.getByLabel('Name for clients, row 1').fill('new-(.+)');
		await page.getByLabel('Name at the provider, row 1').fill('mock-$1');
		await page.getByLabel('Test a model name').fill('new-echo');
		await result.getByText('mock-echo').waitFor();
		await result.getByText('no match').waitFor();
		await page.getByRole('button', { name: 'Save' }).click();
		await shown(page, 'is saved.');
		assert.deepEqual((await admin('GET', `/providers/${id}`)).model_mapping, { 'new-(.+)': 'mock-$1' });
	}));

test('a change made elsewhere is shown within a second', () =>
	withPage(async (page) => {
		const key = unique('live');
		await open(page, `/providers?search=${key}`);
		await live(page);
		await shown(page, 'No provider matches.');
		const begun = Date.now();
		const { id } = await provider({}, { provider_key: key });
		await row(page, key).waitFor();
		const took = Date.now() - begun;
		console.log(`e2e: a change through the API was on the page after ${took} ms`);
		assert.ok(took < 1000, `${took} ms`);
		await admin('DELETE', `/providers/${id}`);
		await row(page, key).waitFor({ state: 'detached' });
	}));

test('two pages editing one provider are told of each other, and nothing is overwritten', () =>
	withPage(async (page, context) => {
		const { id } = await provider();
		const other = await context.newPage();
		for (const one of [page, other]) {
			await open(one, `/providers/${id}`);
			await live(one);
		}
		await page.getByLabel('Weight').fill('7');
		await other.getByLabel('Base URL').fill(`${MOCK}/other`);
		await other.getByRole('button', { name: 'Save' }).click();
		const conflict = page.getByTestId('conflict');
		await conflict.getByText(/changed this while you had it open \(api base\)/).waitFor();
		assert.ok(await page.getByRole('button', { name: 'Save' }).isDisabled());
		await conflict.getByRole('button', { name: 'Keep mine' }).click();
		await page.getByRole('button', { name: 'Save' }).click();
		await shown(page, 'is saved.');
		const saved = await admin('GET', `/providers/${id}`);
		assert.deepEqual([saved.weight, saved.api_base], [7, `${MOCK}/other`]);
		// The other page has nothing unsaved, so it just shows what is new.
		await eventually(async () => (await other.getByLabel('Weight').inputValue()) === '7');
		await admin('DELETE', `/providers/${id}`);
		await page.getByLabel('Weight').fill('8');
		await conflict.getByText(/deleted this while you had it open/).waitFor();
	}));

test('a feed that was cut goes on where it was', () =>
	withPage(async (page) => {
		const sockets = [];
		await page.routeWebSocket(/config\/feed/, (socket) => {
			sockets.push({ socket, url: socket.url() });
			socket.connectToServer();
		});
		const key = unique('resumed');
		await open(page, `/providers?search=${key}`);
		await live(page);
		await provider({}, { provider_key: `${key}-a` });
		await row(page, `${key}-a`).waitFor();
		await sockets[0].socket.close({ code: 1012 });
		await provider({}, { provider_key: `${key}-b` });
		await row(page, `${key}-b`).waitFor();
		await eventually(() => sockets.length === 2);
		assert.match(sockets[1].url, /since=\d+/);
		assert.equal(await page.getByTestId('provider').count(), 2);
	}));

test('every model of a provider is checked, results coming one by one and kept', () =>
	withPage(async (page) => {
		const { provider_key: key, id } = await provider({ good: 'mock', slow: 'mock-delay-300', bad: 'mock-status-503' });
		await open(page, `/health?provider=${id}`);
		await page.getByRole('button', { name: `Check ${key}` }).click();
		const health = page.locator(`[data-testid="health"][data-key="${key}"]`);
		await health.locator('[data-status="running"]').first().waitFor();
		await health.locator('[data-status="unhealthy"]').getByText(/HTTP 503/).waitFor();
		await eventually(async () => (await health.locator('[data-status="healthy"]').count()) === 2);
		await page.getByTestId('check-history').getByText('2 of 3 models answered').waitFor();
		await page.reload();
		await page.getByTestId('check-history').getByText(key).waitFor();
	}));

test('a check of a provider that is gone is told', () =>
	withPage(async (page) => {
		await open(page, '/health?provider=999999');
		await shown(page, 'Provider with ID 999999 not found');
	}));

test('many paid requests are asked for first, and can be stopped', () =>
	withPage(async (page) => {
		const models = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`m-${index}`, 'mock-delay-200']));
		const { id } = await provider(models);
		let asked = 0;
		page.on('request', (request) => (asked += /providers\/\d+\/health$/.test(request.url()) ? 1 : 0));
		await open(page, `/health?provider=${id}`);
		await page.getByRole('button', { name: 'Check it' }).click();
		await page.getByRole('dialog').getByText('Check 30 models?').waitFor();
		assert.equal(asked, 0);
		await page.getByRole('dialog').getByRole('button', { name: 'Check', exact: true }).click();
		await eventually(() => asked >= 3);
		await page.getByRole('button', { name: 'Stop' }).click();
		await page.getByRole('button', { name: 'Check it' }).waitFor();
		assert.ok(asked < 30, `${asked}`);
		await page.getByTestId('health').getByText('skipped').first().waitFor();
		await admin('DELETE', `/providers/${id}`);
	}));

test('a switch that was clicked twice does not go two ways', () =>
	withPage(async (page) => {
		const { provider_key: key, id } = await provider();
		await page.route(/\/status$/, async (route) => {
			await new Promise((done) => setTimeout(done, 200));
			await route.continue();
		});
		await open(page, `/providers?search=${key}`);
		await page.getByRole('switch', { name: `Enable ${key}` }).dblclick({ force: true });
		await row(page, key).getByText('disabled').waitFor();
		assert.equal((await admin('GET', `/providers/${id}`)).is_enabled, false);
		await admin('DELETE', `/providers/${id}`);
	}));
