// How the lists do with 5,000 providers and 50,000 credentials.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADMIN_KEY, MOCK, ORIGIN, admin, live, open, withPage } from './support.mjs';

const PROVIDERS = Number(process.env.PROVIDERS ?? 5000);
const CREDENTIALS = Number(process.env.CREDENTIALS ?? 50_000);

const median = (times) => times.toSorted((a, b) => a - b)[times.length >> 1];
const told = (what, times) => console.log(`page: ${what}: median ${median(times).toFixed(0)} ms, worst ${Math.max(...times).toFixed(0)} ms`);

async function timed(work, rounds = 5) {
	const times = [];
	for (let round = 0; round < rounds; round++) {
		const begun = performance.now();
		await work(round);
		times.push(performance.now() - begun);
	}
	return times;
}

async function list(path) {
	const response = await fetch(`${ORIGIN}/admin/v1${path}`, { headers: { authorization: `Bearer ${ADMIN_KEY}` } });
	assert.equal(response.status, 200);
	return response.json();
}

test('pages, searches and their answers stay quick', { timeout: 3_600_000 }, async () => {
	const { fill } = await import('./fill.mjs');
	await fill(PROVIDERS, CREDENTIALS, MOCK);
	const { total } = await list('/credentials?page=1&page_size=25');
	assert.ok(total >= CREDENTIALS);
	told('API, a page of credentials', await timed((round) => list(`/credentials?page=${round * 100 + 1}&page_size=25`)));
	told('API, a search of credentials', await timed((round) => list(`/credentials?page=1&page_size=25&search=client-${round + 1}99`)));
	told('API, a search of providers', await timed((round) => list(`/providers?page=1&page_size=25&search=many-${round + 1}99`)));
	told('API, state of all providers', await timed(() => fetch(`${ORIGIN}/health/detailed`, { headers: { authorization: `Bearer ${ADMIN_KEY}` } }).then((r) => r.text())));
	await withPage(async (page) => {
		for (const [path, label, row] of [
			['/providers', 'Search name, type, address, model', 'provider'],
			['/credentials', 'Search names', 'credential']
		]) {
			told(`page, ${row}s opened`, await timed(() => open(page, path).then(() => page.getByTestId(row).first().waitFor())));
			await live(page);
			const word = row === 'provider' ? 'many-' : 'client-';
			const searched = timed(async (round) => {
				await page.getByLabel(label).fill(`${word}${round + 1}23`);
				await page.getByTestId(row).filter({ hasText: `${word}${round + 1}23` }).first().waitFor();
				await page.waitForURL(new RegExp(`search=${word}${round + 1}23`));
			});
			told(`page, ${row}s searched (200 ms of it waiting for the next letter)`, await searched);
			await open(page, path);
			told(`page, next page of ${row}s`, await timed(async (round) => {
				await page.getByRole('button', { name: 'Next page' }).click();
				await page.getByText(new RegExp(`^${round + 2} of `)).waitFor();
			}));
		}
	});
	await admin('GET', '/config/version');
});
