// What the page does when the server does not do what it should.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADMIN_KEY, admin, eventually, live, open, provider, shown, unique, withPage } from './support.mjs';

const row = (page, key) => page.locator(`[data-testid="provider"][data-key="${key}"]`);

/** Lets no feed through until `server` is started again. */
async function breakable(page) {
	const server = { isUp: true, sockets: [] };
	await page.routeWebSocket(/config\/feed/, (socket) => {
		if (!server.isUp) return void socket.close({ code: 1012 });
		server.sockets.push(socket);
		socket.connectToServer();
	});
	await page.route(/\/(admin\/v1|health)\//, (route) => (server.isUp ? route.continue() : route.abort()));
	server.stop = async () => {
		server.isUp = false;
		for (const socket of server.sockets.splice(0)) await socket.close({ code: 1012 });
	};
	return server;
}

test('a server that stops while the page is open is told, and what was missed is there when it is back', () =>
	withPage(async (page) => {
		const server = await breakable(page);
		const key = unique('outage');
		await open(page, `/providers?search=${key}`);
		await live(page);
		await server.stop();
		await page.getByTestId('offline').getByText(/connection to the server is lost/).waitFor();
		await page.locator('[data-testid="freshness"][data-old="true"]').waitFor();
		const { id } = await provider({}, { provider_key: key });
		server.isUp = true;
		await row(page, key).waitFor();
		await page.getByTestId('offline').waitFor({ state: 'detached' });
		await page.locator('[data-testid="freshness"][data-old="false"]').waitFor();
		await admin('DELETE', `/providers/${id}`);
	}));

test('a connection that has gone silent is given up and made anew', () =>
	withPage(async (page) => {
		const sockets = [];
		await page.clock.install();
		await page.routeWebSocket(/config\/feed/, (socket) => {
			sockets.push(socket);
			const server = socket.connectToServer();
			// The first one hears its greeting, and nothing ever after.
			let heard = 0;
			if (sockets.length === 1) server.onMessage((message) => heard++ < 1 && socket.send(message));
		});
		const key = unique('silent');
		await open(page, `/providers?search=${key}`);
		await live(page);
		const { id } = await provider({}, { provider_key: key });
		await page.clock.fastForward(41_000);
		await page.clock.fastForward(1000);
		await row(page, key).waitFor();
		assert.equal(sockets.length, 2);
		await admin('DELETE', `/providers/${id}`);
	}));

test('a key that came too late for the feed is no reason to sign out', () =>
	withPage(async (page) => {
		let tries = 0;
		await page.routeWebSocket(/config\/feed/, (socket) => (tries++ === 0 ? socket.close({ code: 4401 }) : void socket.connectToServer()));
		await open(page, '/providers');
		await live(page);
		assert.equal(tries, 2);
		assert.match(page.url(), /\/providers$/);
	}));

test('an admin key that is changed in the middle ends the session, and the way back is kept', () =>
	withPage(async (page) => {
		const { id } = await provider();
		await open(page, `/providers/${id}`);
		await page.getByLabel('Weight').fill('9');
		await page.route(/\/admin\/v1\/providers\//, (route) => route.fulfill({ status: 401, json: { error: { message: 'no' } } }));
		await page.getByRole('button', { name: 'Save' }).click();
		await page.waitForURL(/sign-in\?to=/);
		await shown(page, 'The admin key is not accepted any more.');
		assert.deepEqual(await page.evaluate(() => [sessionStorage.getItem('llm-proxy.admin-key'), localStorage.getItem('llm-proxy.admin-key')]), [null, null]);
		await page.unroute(/\/admin\/v1\/providers\//);
		await page.getByLabel('Admin key').fill(ADMIN_KEY);
		await page.getByRole('button', { name: 'Sign in' }).click();
		await page.waitForURL(new RegExp(`/providers/${id}$`));
		await admin('DELETE', `/providers/${id}`);
	}));

test('an answer that never comes is told, and asked for again', () =>
	withPage(async (page) => {
		await page.clock.install();
		let isStuck = true;
		await page.route(/\/admin\/v1\/metrics\/summary/, (route) => (isStuck ? undefined : route.continue()));
		await open(page, '/');
		await page.getByText('Loading …').first().waitFor();
		await page.clock.fastForward(31_000);
		await shown(page, 'The server did not answer within 30 seconds.');
		isStuck = false;
		await page.getByRole('button', { name: 'Try again' }).click();
		await page.getByTestId('tiles').waitFor();
	}));

test('figures are read every few seconds, not while nobody looks, at once when somebody does, and say when they are old', () =>
	withPage(async (page) => {
		let asked = 0;
		let fails = false;
		await page.clock.install();
		await page.route(/\/admin\/v1\/metrics\/summary/, (route) => {
			asked++;
			return fails ? route.fulfill({ status: 500, json: { error: { message: 'It broke' } } }) : route.continue();
		});
		const visible = (state) =>
			page.evaluate((state) => {
				Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
				document.dispatchEvent(new Event('visibilitychange'));
			}, state);
		await open(page, '/?range=15m');
		await page.getByTestId('tiles').waitFor();
		assert.equal(asked, 1);
		await page.clock.runFor(4000);
		await eventually(() => asked === 2);
		await visible('hidden');
		await page.clock.runFor(60_000);
		assert.equal(asked, 2);
		await visible('visible');
		await eventually(() => asked === 3);
		await page.locator('[data-testid="freshness"][data-old="false"]').waitFor();
		fails = true;
		await page.clock.runFor(30_000);
		await page.locator('[data-testid="freshness"][data-old="true"]').getByText(/Out of date: last updated/).waitFor();
		await shown(page, 'It broke What is shown may be old.');
	}));

test('a change that another replica does not know of yet is asked for again', () =>
	withPage(async (page) => {
		const key = unique('behind');
		await open(page, `/providers?search=${key}`);
		await live(page);
		await shown(page, 'No provider matches.');
		let old = 2;
		await page.route(/\/admin\/v1\/providers\?/, async (route) => {
			const response = await route.fetch();
			const json = await response.json();
			return old-- > 0 ? route.fulfill({ json: { ...json, version: json.version - 1, providers: [], total: 0 } }) : route.fulfill({ response });
		});
		const { id } = await provider({}, { provider_key: key });
		await row(page, key).waitFor();
		assert.ok(old < 0);
		await admin('DELETE', `/providers/${id}`);
	}));

test('the error of one deletion is not shown at the next', () =>
	withPage(async (page) => {
		const [one, two] = [await provider(), await provider()];
		await page.route(/\/admin\/v1\/providers\/\d+$/, (route) => (route.request().method() === 'DELETE' ? route.fulfill({ status: 503, json: { error: { message: 'The database is gone' } } }) : route.continue()));
		await open(page, '/providers?search=provider-');
		await page.getByRole('button', { name: `Delete ${one.provider_key}` }).click();
		await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).dblclick();
		await page.getByRole('dialog').getByText('The database is gone').waitFor();
		await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
		await page.getByRole('button', { name: `Delete ${two.provider_key}` }).click();
		await page.getByRole('dialog').getByText(`Delete ${two.provider_key}?`).waitFor();
		assert.equal(await page.getByText('The database is gone').count(), 0);
		for (const { id } of [one, two]) await admin('DELETE', `/providers/${id}`);
	}));

test('a page of a list that is gone leads to the last one', () =>
	withPage(async (page) => {
		const { provider_key: key, id } = await provider();
		await open(page, `/providers?search=${key}&page=7`);
		await row(page, key).waitFor();
		await admin('DELETE', `/providers/${id}`);
	}));
