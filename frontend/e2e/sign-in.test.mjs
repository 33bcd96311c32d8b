import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADMIN_KEY, MOCK, ORIGIN, eventually, open, shown, unique, withPage } from './support.mjs';

const stored = (page) =>
	page.evaluate(() => [sessionStorage.getItem('llm-proxy.admin-key'), localStorage.getItem('llm-proxy.admin-key')]);

async function signIn(page, key, remember = false) {
	await page.getByLabel('Admin key').fill(key);
	if (remember) await page.getByLabel('Remember me in this browser').check();
	await page.getByRole('button', { name: 'Sign in' }).click();
}

test('from sign-in to an answer in the playground, by the page alone', () =>
	withPage(
		async (page) => {
			await open(page, '/');
			await signIn(page, ADMIN_KEY);
			await page.getByRole('link', { name: 'Providers' }).click();
			await page.getByRole('link', { name: /Create the first|New provider/ }).first().click();
			const name = unique('first');
			await page.getByLabel('Name', { exact: true }).fill(name);
			await page.getByLabel('Base URL').fill(MOCK);
			await page.getByLabel("Provider's key").fill('sk-mock-of-the-provider');
			await page.getByLabel('Name for clients, row 1').fill(`${name}-*`);
			await page.getByLabel('Name at the provider, row 1').fill('mock');
			await page.getByLabel('Test a model name').fill(`${name}-model`);
			await page.getByTestId('mapping-result').getByText(`wildcard ${name}-*`).waitFor();
			await page.getByRole('button', { name: 'Create' }).click();
			await page.getByRole('heading', { name }).waitFor();
			await page.getByRole('link', { name: 'Playground' }).click();
			await page.getByRole('button', { name: 'Create a key for one hour' }).click();
			await shown(page, 'Its key is kept');
			await page.getByLabel('Model').fill(`${name}-model`);
			await page.getByLabel('Message', { exact: true }).fill('Hello');
			await page.keyboard.press('Enter');
			await page.locator('[data-testid="answer"][data-state="done"]').waitFor();
			assert.match(await page.getByTestId('answer').innerText(), new RegExp(name));
		},
		{ signedIn: false }
	));

test('a wrong key is refused, and the right one leads to the page that was wanted', () =>
	withPage(
		async (page) => {
			await page.goto(`${ORIGIN}/admin/logs?kind=errors`);
			await signIn(page, 'not-the-key');
			await shown(page, 'This is not the admin key.');
			await signIn(page, ADMIN_KEY);
			await page.waitForURL(/\/admin\/logs\?kind=errors$/);
			assert.deepEqual(await stored(page), [ADMIN_KEY, null]);
			await page.getByRole('button', { name: /Sign out/ }).click();
			await page.waitForURL(/sign-in/);
			assert.deepEqual(await stored(page), [null, null]);
		},
		{ signedIn: false }
	));

test('the key outlives the tab only when the operator asks for it', () =>
	withPage(
		async (page, context) => {
			await open(page, '/sign-in');
			await signIn(page, ADMIN_KEY, true);
			await page.getByRole('heading', { name: 'Dashboard' }).waitFor();
			const other = await context.newPage();
			await open(other, '/');
			await other.getByRole('heading', { name: 'Dashboard' }).waitFor();
		},
		{ signedIn: false }
	));

test('a key that is accepted no more leads to the sign-in page, which says so', () =>
	withPage(
		async (page) => {
			await open(page, '/sign-in');
			await page.evaluate(() => sessionStorage.setItem('llm-proxy.admin-key', 'an-old-key'));
			await page.goto(`${ORIGIN}/admin/providers`);
			await page.waitForURL(/sign-in\?to=/);
			await shown(page, 'The admin key is not accepted any more.');
		},
		{ signedIn: false }
	));

test('a server that is gone is told, and found again', () =>
	withPage(async (page) => {
		let asked = 0;
		await page.route('**/admin/v1/providers?*', (route) => route.abort().then(() => asked++));
		await open(page, '/providers');
		await shown(page, 'The server cannot be reached.');
		// The feed's greeting makes the page ask once more.
		await eventually(() => asked >= 2);
		await shown(page, 'The server cannot be reached.');
		await page.unroute('**/admin/v1/providers?*');
		await page.getByRole('button', { name: 'Try again' }).click();
		await eventually(async () => (await page.getByText('The server cannot be reached.').count()) === 0);
	}));

test('the page is compressed, its files are kept for ever, and only its own code runs', async () => {
	const page = await fetch(`${ORIGIN}/admin/`, { headers: { 'accept-encoding': 'br' } });
	assert.equal(page.headers.get('content-encoding'), 'br');
	assert.equal(page.headers.get('cache-control'), 'no-cache');
	const policy = page.headers.get('content-security-policy');
	assert.ok(policy.includes("default-src 'self'") && !/unsafe-(inline|eval)/.test(policy), policy);
	const scripts = (await page.text()).match(/\/admin\/_app\/immutable\/[^"']+\.js/g);
	const files = await Promise.all(scripts.map((script) => fetch(ORIGIN + script, { headers: { 'accept-encoding': 'gzip, br' } })));
	for (const file of files) assert.equal(file.headers.get('cache-control'), 'public, max-age=31536000, immutable');
	// What compression makes no smaller stays as it is.
	assert.ok(files.some((file) => file.headers.get('content-encoding') === 'br'));
});

test('signing out in one tab signs out all that use the remembered key', () =>
	withPage(
		async (page, context) => {
			await open(page, '/sign-in');
			await signIn(page, ADMIN_KEY, true);
			await page.getByRole('heading', { name: 'Dashboard' }).waitFor();
			const other = await context.newPage();
			await open(other, '/logs');
			await page.getByRole('button', { name: /Sign out/ }).click();
			await other.waitForURL(/sign-in/);
			await shown(other, 'You signed out in another tab.');
			assert.deepEqual(await stored(other), [null, null]);
		},
		{ signedIn: false }
	));

test('an answer to an earlier key does not end the session of a new one', () =>
	withPage(
		async (page) => {
			let refuse;
			const held = new Promise((done) => (refuse = done));
			await page.route(/\/admin\/v1\/metrics\/summary/, async (route) => {
				if (route.request().headers().authorization !== 'Bearer an-earlier-key') return route.continue();
				await held;
				return route.fulfill({ status: 401, json: { error: { message: 'no' } } }).catch(() => undefined);
			});
			await open(page, '/sign-in');
			await page.route(/\/auth\/validate/, (route) => route.fulfill({ json: { valid: true, message: 'ok' } }));
			await page.routeWebSocket(/config\/feed/, () => undefined);
			await signIn(page, 'an-earlier-key');
			await page.getByRole('heading', { name: 'Dashboard' }).waitFor();
			await page.getByRole('button', { name: /Sign out/ }).click();
			await page.unroute(/\/auth\/validate/);
			await signIn(page, ADMIN_KEY);
			await page.getByTestId('tiles').waitFor();
			refuse();
			await page.getByTestId('freshness').waitFor();
			assert.deepEqual(await stored(page), [ADMIN_KEY, null]);
		},
		{ signedIn: false }
	));

test('a sign-in page that leads elsewhere leads to this page only', () =>
	withPage(async (page) => {
		for (const to of ['https://example.com/', 'https://', '//example.com/', '/admin/../v1/models', 'javascript:alert(1)', '/elsewhere', '/admin/sign-in?to=/admin/sign-in']) {
			await page.goto(`${ORIGIN}/admin/sign-in?to=${encodeURIComponent(to)}`);
			await page.getByRole('heading', { name: 'Dashboard' }).waitFor();
			assert.equal(page.url(), `${ORIGIN}/admin/`);
		}
	}));
