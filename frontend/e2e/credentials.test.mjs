import assert from 'node:assert/strict';
import { test } from 'node:test';
import { admin, chat, credential, open, provider, shown, unique, withPage } from './support.mjs';

const row = (page, name) => page.locator(`[data-testid="credential"][data-name="${name}"]`);

test('a new key is shown once, works, and is nowhere afterwards', () =>
	withPage(async (page) => {
		const name = unique('client');
		const { id } = await provider({ [name]: 'mock' });
		await open(page, '/credentials/new');
		await page.getByLabel('Name', { exact: true }).fill(name);
		await page.getByLabel('Allowed models').fill(`${name}\nclaude-*`);
		await page.getByLabel('Requests per second').fill('50');
		await page.getByLabel('Burst').fill('60');
		await page.getByLabel('Expires').fill('2099-01-01T00:00');
		await page.getByRole('button', { name: 'Create' }).click();
		const key = await page.getByTestId('new-key').innerText();
		assert.match(key, /^sk-/);
		await page.keyboard.press('Escape');
		await page.getByTestId('new-key').waitFor();
		await page.getByRole('button', { name: 'I have copied it' }).click();
		await page.getByRole('heading', { name }).waitFor();
		assert.ok(!(await page.content()).includes(key));
		await page.getByRole('link', { name: 'Credentials' }).first().click();
		await page.getByLabel('Search names').fill(name);
		await row(page, name).getByText('50/s, burst 60').waitFor();
		assert.ok(!(await page.content()).includes(key));
		assert.equal((await chat(key, name)).status, 200);
		assert.equal((await chat(key, 'other')).status, 403);
		await admin('DELETE', `/providers/${id}`);
	}));

test('a key is replaced, and the old one lives as long as was said', () =>
	withPage(async (page) => {
		const { name, key, id } = await credential();
		const other = await provider({ [name]: 'mock' });
		await open(page, `/credentials?search=${name}`);
		await page.getByRole('button', { name: `Rotate the key of ${name}` }).click();
		await page.getByLabel('The current key').selectOption('stops working at once');
		await page.getByRole('button', { name: 'Rotate', exact: true }).click();
		const fresh = await page.getByTestId('new-key').innerText();
		await page.getByRole('button', { name: 'I have copied it' }).click();
		assert.deepEqual([(await chat(key, name)).status, (await chat(fresh, name)).status], [401, 200]);
		await page.getByRole('switch', { name: `Enable ${name}` }).click();
		await page.getByRole('switch', { name: `Enable ${name}`, checked: false }).waitFor();
		await page.getByRole('button', { name: `Delete ${name}` }).click();
		await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
		await shown(page, 'No credential matches.');
		await admin('DELETE', `/providers/${other.id}`);
		assert.ok(id > 0);
	}));

test('a pattern that makes no sense is told at its field', () =>
	withPage(async (page) => {
		const { id } = await credential();
		await open(page, `/credentials/${id}`);
		await page.getByLabel('Allowed models').fill('claude-(');
		await page.getByRole('button', { name: 'Save' }).click();
		await page.locator('textarea[aria-invalid="true"]').waitFor();
	}));

test('the keyboard alone creates a credential, copies its key and deletes it', () =>
	withPage(
		async (page) => {
			const name = unique('typed');
			const { keyboard } = page;
			/** Tabs until `wanted` has the focus. */
			const reach = async (wanted) => {
				for (let steps = 0; steps < 60; steps++) {
					if (await wanted.evaluate((one) => one === document.activeElement).catch(() => false)) return;
					await keyboard.press('Tab');
				}
				assert.fail(`the keyboard does not reach ${wanted}`);
			};
			await open(page, `/credentials?search=${name}`);
			await reach(page.getByRole('link', { name: 'New credential' }));
			await keyboard.press('Enter');
			await page.getByRole('heading', { name: 'New credential' }).waitFor();
			await reach(page.getByLabel('Name', { exact: true }));
			await keyboard.type(name);
			await keyboard.press('Enter');
			await reach(page.getByRole('dialog').getByRole('button', { name: 'Copy' }));
			await keyboard.press('Enter');
			await page.getByText('Copied', { exact: true }).waitFor();
			const { key } = { key: await page.evaluate(() => navigator.clipboard.readText()) };
			assert.equal(key, await page.getByTestId('new-key').innerText());
			await reach(page.getByRole('button', { name: 'I have copied it' }));
			await keyboard.press('Enter');
			await page.getByRole('heading', { name }).waitFor();
			await reach(page.getByRole('main').getByRole('link', { name: 'Credentials' }));
			await keyboard.press('Enter');
			await page.getByRole('heading', { name: 'Credentials' }).waitFor();
			await reach(page.getByLabel('Search names'));
			await keyboard.type(name);
			await row(page, name).waitFor();
			await reach(page.getByRole('switch', { name: `Enable ${name}` }));
			await keyboard.press('Space');
			await page.getByRole('switch', { name: `Enable ${name}`, checked: false }).waitFor();
			await reach(page.getByRole('button', { name: `Delete ${name}` }));
			await keyboard.press('Enter');
			await reach(page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }));
			await keyboard.press('Enter');
			await shown(page, 'No credential matches.');
		},
		{ permissions: ['clipboard-read', 'clipboard-write'] }
	));

test('who makes the first credential where none is needed is told whom it shuts out', () =>
	withPage(async (page) => {
		await page.route(/credentials\?page=1&page_size=1&/, (route) => route.fulfill({ json: { version: 1, credentials: [], total: 0 } }));
		await page.route(/\/v1\/models$/, (route) => route.fulfill({ json: { object: 'list', data: [] } }));
		await open(page, '/credentials/new');
		await shown(page, /As soon as a credential is enabled they are refused/);
	}));
