import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { admin, chat, credential, eventually, live, open, provider, shown, unique, withPage } from './support.mjs';

let client;
let name;
const total = async (kind) => (await admin('GET', `/${kind}?credential_name=${client.name}`)).total;

before(async () => {
	name = unique('logged');
	client = await credential();
	await provider({ [name]: { mapped_model: 'mock', input_cost_per_1k_tokens: 1, output_cost_per_1k_tokens: 2 }, [`${name}-bad`]: 'mock-status-500' });
	for (const model of [name, name, `${name}-bad`]) await chat(client.key, model, { stream: model === name });
	await eventually(async () => (await total('logs')) === 3 && (await total('error-logs')) >= 1);
});

test('the dashboard counts requests, errors, tokens and cost, and does so while it is looked at', () =>
	withPage(async (page) => {
		await open(page, '/?range=15m');
		const row = page.getByRole('region', { name: 'Credentials, figures' }).getByRole('row', { name: client.name });
		await row.getByRole('cell', { name: '3', exact: true }).waitFor();
		await row.getByText(/1 \(33 %\)/).waitFor();
		await page.locator('.uplot canvas').first().waitFor();
		await chat(client.key, name);
		await row.getByRole('cell', { name: '4', exact: true }).waitFor();
		await row.getByRole('link').click();
		await page.waitForURL(new RegExp(`logs\\?credential_name=${client.name}`));
	}));

test('the dashboard tells a summary that cannot be read', () =>
	withPage(async (page) => {
		await page.route('**/metrics/summary*', (route) => route.fulfill({ status: 503, json: { error: { message: 'The database is not available' } } }));
		await open(page, '/');
		await shown(page, 'The database is not available');
	}));

test('filters are in the address, and a request is shown with its timing', () =>
	withPage(async (page) => {
		await open(page, `/logs?credential_name=${client.name}&outcome=failed`);
		await eventually(async () => (await page.getByTestId('log').count()) === 1);
		await page.getByLabel('Outcome').selectOption('complete');
		await page.waitForURL(/outcome=complete/);
		await eventually(async () => (await page.getByTestId('log').count()) >= 2);
		await page.getByLabel('Outcome').selectOption('failed');
		await page.waitForURL(/outcome=failed/);
		await eventually(async () => (await page.getByTestId('log').count()) === 1);
		await page.getByTestId('log').getByRole('link').click();
		await page.getByTestId('waterfall').getByText(/Attempt 1/).waitFor();
		await page.getByRole('link', { name: 'attempt 1' }).click();
		await page.getByRole('heading', { name: /Error/ }).first().waitFor();
	}));

test('rows are exported and deleted', () =>
	withPage(async (page) => {
		await open(page, `/logs?credential_name=${client.name}`);
		await page.getByTestId('log').first().waitFor();
		const count = await total('logs');
		const download = page.waitForEvent('download');
		await page.getByRole('button', { name: 'Export as CSV' }).click();
		const csv = readFileSync(await (await download).path(), 'utf8');
		assert.equal(csv.trim().split('\n').length, count + 1);
		await page.getByRole('checkbox', { name: /Choose row/ }).first().check();
		await page.getByRole('button', { name: 'Delete 1' }).click();
		await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
		await shown(page, '1 row is deleted.');
		assert.equal(await total('logs'), count - 1);
	}));

test('a log row that is gone is told', () =>
	withPage(async (page) => {
		await open(page, '/logs/999999999');
		await page.getByRole('alert').getByText(/not found/).waitFor();
	}));

test('the history shows who changed what, and goes back', () =>
	withPage(async (page) => {
		const { id, provider_key: key } = await provider();
		await open(page, '/configuration');
		await admin('PUT', `/providers/${id}`, { weight: 42 });
		const change = page.getByTestId('change').filter({ hasText: key }).filter({ hasText: 'update' });
		await change.locator('summary').click();
		await change.getByText('+ 42').waitFor();
		await change.getByText('somebody').waitFor();
		await change.getByRole('button', { name: /before this change/ }).click();
		await page.getByTestId('plan').getByText(key).waitFor();
		await page.getByRole('button', { name: 'Roll back', exact: true }).click();
		await shown(page, 'Rolled back to version');
		assert.equal((await admin('GET', `/providers/${id}`)).weight, 1);
		await page.getByRole('region', { name: 'Replicas' }).getByText('up to date').waitFor();
	}));

test('a route is explained, also one that leads nowhere', () =>
	withPage(async (page) => {
		await open(page, '/configuration');
		await page.getByLabel('Model').fill(name);
		await page.getByRole('button', { name: 'Explain' }).click();
		await page.getByTestId('outcome').getByText('ok', { exact: true }).waitFor();
		await page.getByRole('cell', { name: '100.0 %' }).waitFor();
		await page.getByLabel('Model').fill('nobody-has-this');
		await page.getByRole('button', { name: 'Explain' }).click();
		await page.getByTestId('outcome').getByText('model not found').waitFor();
		// A credential is picked by its name.
		const { name: like } = await credential({ allowed_models: ['nothing-else'] });
		const search = page.getByLabel('Search credentials');
		await eventually(async () => (await page.getByLabel('Credential', { exact: true }).locator('option').count()) > 1);
		if (await search.count()) await search.fill(like);
		await page.getByLabel('Credential', { exact: true }).selectOption(like);
		await page.getByLabel('Model').fill(name);
		await page.getByRole('button', { name: 'Explain' }).click();
		await page.getByTestId('outcome').getByText('model not allowed').waitFor();
		await page.getByTestId('outcome').getByText(`${like} may not use it`).waitFor();
	}));

test('rows are chosen all at once, only those in sight, and filters stay open while they are changed', () =>
	withPage(async (page) => {
		await open(page, `/logs?credential_name=${client.name}`);
		await page.getByTestId('log').first().waitFor();
		await page.getByLabel('Choose all shown').check();
		const many = await page.getByTestId('log').count();
		await page.getByRole('button', { name: `Delete ${many}` }).waitFor();
		await page.getByLabel('Outcome').selectOption('failed');
		await page.waitForURL(/outcome=failed/);
		await page.getByRole('button', { name: /^Delete/ }).waitFor({ state: 'detached' });
		// Two fields, one right after the other: neither is lost.
		await page.getByLabel('Model').fill(`${name}-bad`);
		await page.getByLabel('Provider', { exact: true }).fill('nobody');
		await page.waitForURL((url) => url.searchParams.get('model') === `${name}-bad` && url.searchParams.get('provider_name') === 'nobody');
		await shown(page, 'No request matches.');
		await page.getByRole('button', { name: 'Clear filters' }).click();
		await page.getByLabel('Outcome').waitFor();
	}));

test('new rows come by themselves, and a row leads back to the filters it was found with', () =>
	withPage(async (page) => {
		await open(page, `/logs?credential_name=${client.name}`);
		await page.getByTestId('log').first().waitFor();
		const before = await page.getByTestId('log').count();
		await chat(client.key, name);
		await eventually(async () => (await page.getByTestId('log').count()) > before);
		await page.getByTestId('log').first().getByRole('link').click();
		await page.getByTestId('waterfall').waitFor();
		await page.getByRole('main').getByRole('link', { name: 'Logs' }).click();
		await page.waitForURL(new RegExp(`credential_name=${client.name}`));
	}));

test('on a narrow screen a log row is a card with every value and its name, and nothing scrolls sideways', () =>
	withPage(
		async (page) => {
			for (const kind of ['requests', 'errors']) {
				await open(page, `/logs?kind=${kind}&credential_name=${client.name}`);
				await page.getByTestId('log').first().waitFor();
				const region = page.getByRole('region', { name: kind });
				assert.equal(await region.evaluate((box) => box.scrollWidth - box.clientWidth), 0);
				for (const cell of await page.getByTestId('log').first().locator('td').all()) {
					// What is not known takes no place.
					const box = await cell.boundingBox();
					if (!box) continue;
					assert.ok(box.x >= 0 && box.x + box.width <= 375, JSON.stringify(box));
				}
				assert.equal(await page.getByTestId('log').first().locator('[data-label="Duration"]').evaluate((cell) => getComputedStyle(cell, '::before').content), '"Duration"');
			}
		},
		{ viewport: { width: 375, height: 800 } }
	));

test('many changes in a row are shown while they come, and do not pile up', () =>
	withPage(async (page) => {
		await open(page, '/configuration');
		await live(page);
		const { id, provider_key: key } = await provider();
		for (let weight = 2; weight < 140; weight++) await admin('PUT', `/providers/${id}`, { weight });
		await page.getByTestId('change').filter({ hasText: key }).first().waitFor();
		const { version } = await admin('GET', '/config/version');
		await page.locator(`[data-testid="change"][data-version="${version}"]`).waitFor();
		assert.ok((await page.getByTestId('change').count()) <= 50);
		await eventually(async () => (await page.getByTestId('version').innerText()) === String(version));
		await page.getByRole('button', { name: 'Show older changes' }).click();
		await eventually(async () => (await page.getByTestId('change').count()) > 50);
		await admin('DELETE', `/providers/${id}`);
	}));

test('a chart tells the values under the pointer, and counts have whole marks', () =>
	withPage(async (page) => {
		await open(page, '/?range=15m');
		const chart = page.locator('figure').filter({ hasText: 'Requests' });
		await chart.locator('.u-over').waitFor();
		await chart.locator('.u-over').hover();
		await chart.locator('figcaption').getByText(/20\d\d, \d\d:\d\d:\d\d/).waitFor();
		assert.match(await chart.locator('figcaption').innerText(), /requests\s+\d+/);
	}));
