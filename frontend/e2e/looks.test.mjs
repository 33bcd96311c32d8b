// Every page in both themes and two widths: no violation that axe knows, nothing wider than the screen.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { mkdirSync } from 'node:fs';
import { before, test } from 'node:test';
import { ADMIN_KEY, admin, chat, credential, eventually, live, open, provider, unique, withPage } from './support.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
/** Where pictures go, when they are wanted. */
const SHOTS = process.env.SHOTS;
const pages = { 'sign-in': '/sign-in', dashboard: '/', providers: '/providers', 'provider-new': '/providers/new', credentials: '/credentials' };

before(async () => {
	const name = unique('look');
	const one = await provider({ [name]: 'mock', 'gpt-*': { mapped_model: 'mock', input_cost_per_1k_tokens: 0.5 }, 'x-(.+)': 'mock-$1' });
	const bad = await provider({ [`${name}-bad`]: 'mock-status-503' }, { provider_type: 'custom', weight: 3 });
	const client = await credential({ rate_limit: 20, burst: 40, allowed_models: ['gpt-*', name, `${name}-bad`] });
	for (let many = 0; many < 8; many++) await chat(client.key, many % 3 ? name : `${name}-bad`, { stream: many % 2 === 0 });
	const errors = await eventually(async () => {
		const found = await admin('GET', `/error-logs?credential_name=${client.name}`);
		return found.total > 0 ? found.items : undefined;
	});
	const [log] = await eventually(async () => {
		const { items } = await admin('GET', `/logs?credential_name=${client.name}&outcome=failed`);
		return items.length > 0 ? items : undefined;
	});
	Object.assign(pages, {
		provider: `/providers/${one.id}`,
		'credential-new': '/credentials/new',
		credential: `/credentials/${client.id}`,
		health: `/health?search=${bad.provider_key.split('-')[0]}`,
		logs: '/logs',
		'logs-errors': '/logs?kind=errors',
		log: `/logs/${log.id}`,
		'log-error': `/logs/errors/${errors[0].id}`,
		playground: '/playground',
		configuration: '/configuration',
		'no-such-page': '/nowhere'
	});
	pages['#model'] = name;
});

async function prepare(page, name) {
	if (name === 'health') {
		await page.getByTestId('health').last().getByRole('button').click();
		await page.getByTestId('check-history').first().waitFor();
	}
	if (name === 'playground') {
		await page.getByRole('button', { name: 'Create a key for one hour' }).click();
		await page.getByLabel('Model').fill('x-echo');
		await page.getByLabel('Message', { exact: true }).fill('## List\n\n- one\n- `two`\n\n```json\n{"a": [1, "x", true]}\n```\n[link](https://example.com)');
		await page.getByRole('button', { name: 'Send' }).click();
		await page.locator('[data-testid="answer"][data-state="done"]').waitFor();
	}
	if (name === 'configuration') {
		await page.getByLabel('Model').fill(pages['#model']);
		await page.getByRole('button', { name: 'Explain' }).click();
		await page.getByTestId('outcome').waitFor();
		await page.getByTestId('change').first().locator('summary').click();
	}
	if (name === 'provider') {
		await page.getByLabel('Test a model name').fill('x-echo');
		await page.getByTestId('mapping-result').getByText('regex').waitFor();
	}
	await eventually(async () => (await page.getByText('Loading …').count()) === 0);
}

async function violations(page) {
	await page.addScriptTag({ path: AXE }).catch(() => page.evaluate(() => undefined));
	const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
	return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join('; ')}`);
}

/** The first page is the sign-in page, which a signed-in person is led away from. */
async function sign(page, isIn) {
	const key = isIn ? ADMIN_KEY : '';
	await page.addInitScript((key) => location.protocol.startsWith('http') && sessionStorage.setItem('llm-proxy.admin-key', key), key);
}

for (const theme of ['light', 'dark']) {
	for (const width of [1280, 375]) {
		test(`every page at ${width} px, ${theme}: reachable by everybody, nothing cut off`, () =>
			withPage(
				async (page) => {
					const found = [];
					for (const [name, path] of Object.entries(pages)) {
						if (name.startsWith('#')) continue;
						await sign(page, name !== 'sign-in');
						await open(page, path);
						if (!['sign-in', 'no-such-page'].includes(name) && width > 800) await live(page);
						await prepare(page, name);
						const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
						if (wide > 0) found.push(`${name}: ${wide} px wider than the screen`);
						if (SHOTS) {
							mkdirSync(SHOTS, { recursive: true });
							await page.evaluate(() => scrollTo(0, 0));
							await page.screenshot({ path: `${SHOTS}/${name}-${theme}-${width}.png`, fullPage: true });
						}
						for (const violation of await violations(page)) found.push(`${name}: ${violation}`);
					}
					assert.deepEqual(found, []);
				},
				{ colorScheme: theme, viewport: { width, height: 900 }, reducedMotion: 'reduce', bypassCSP: true, signedIn: false, allowed: [/Not found: \/admin\/nowhere/] }
			));
	}
}

/** What is not there when a page opens. */
const states = {
	'dialog-delete': async (page) => {
		await open(page, '/providers');
		await page.getByRole('button', { name: /^Delete/ }).first().click();
		await page.getByRole('dialog').waitFor();
	},
	'key-once': async (page) => {
		await open(page, '/credentials');
		await page.getByRole('button', { name: /^Rotate/ }).first().click();
		await page.getByRole('button', { name: 'Rotate', exact: true }).click();
		await page.getByTestId('new-key').waitFor();
	},
	conflict: async (page) => {
		const { id } = await provider({ 'a-(.+)': { mapped_model: 'b', max_tokens: 3 } });
		await open(page, `/providers/${id}`);
		await live(page);
		await page.getByRole('button', { name: /^Details/ }).click();
		await page.getByLabel('Name for clients, row 1').fill('(');
		await admin('PUT', `/providers/${id}`, { weight: 9 });
		await page.getByTestId('conflict').waitFor();
	},
	'logs-filters': async (page) => {
		await open(page, '/logs?outcome=failed');
		await page.getByTestId('log').first().waitFor();
		await page.getByLabel('Choose all shown').check();
	},
	rollback: async (page) => {
		await open(page, '/configuration');
		await page.getByTestId('change').nth(1).locator('summary').click();
		await page.getByRole('button', { name: /before this change/ }).click();
		await page.getByTestId('plan').waitFor();
		await page.getByTestId('plan').locator('summary').first().click();
	},
	error: async (page) => {
		await page.route(/\/admin\/v1\/(providers|metrics)/, (route) => route.fulfill({ status: 500, json: { error: { message: 'It broke' } } }));
		await page.route(/\/health\/detailed/, (route) => route.fulfill({ status: 500 }));
		await open(page, '/providers');
		await page.getByText('It broke').waitFor();
	},
	offline: async (page) => {
		await page.routeWebSocket(/feed/, (socket) => socket.close({ code: 1012 }));
		await open(page, '/');
		await page.getByTestId('offline').waitFor();
	},
	failure: async (page) => {
		await open(page, '/playground');
		await page.getByRole('button', { name: 'Create a key for one hour' }).click();
		await page.getByLabel('Model').fill('nobody-has-this');
		await page.getByLabel('Message', { exact: true }).fill('שלום');
		await page.getByRole('button', { name: 'Send' }).click();
		await page.locator('[data-testid="answer"][data-state="failed"]').waitFor();
	}
};

for (const [theme, width] of [['light', 1280], ['dark', 375], ['light', 640]]) {
	test(`dialogs, errors and warnings at ${width} px, ${theme}: as reachable, as readable`, () =>
		withPage(
			async (first, context) => {
				const found = [];
				for (const [name, reach] of Object.entries(states)) {
					const page = await context.newPage();
					await sign(page, true);
					await reach(page);
					const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
					if (wide > 0) found.push(`${name}: ${wide} px wider than the screen`);
					if (SHOTS) await page.screenshot({ path: `${SHOTS}/state-${name}-${theme}-${width}.png` });
					for (const violation of await violations(page)) found.push(`${name}: ${violation}`);
					await page.close();
				}
				await open(first, '/sign-in');
				assert.deepEqual(found, []);
			},
			{ colorScheme: theme, viewport: { width, height: 900 }, reducedMotion: 'reduce', bypassCSP: true, signedIn: false }
		));
}

test('a theme that was chosen stays, whatever the system has', () =>
	withPage(
		async (page) => {
			await open(page, '/');
			await page.getByLabel('Theme').first().selectOption('dark');
			await page.reload();
			await page.locator('html.dark').waitFor();
		},
		{ colorScheme: 'light' }
	));

test('the keyboard alone opens the menu of a narrow page, goes elsewhere and skips to the content', () =>
	withPage(
		async (page) => {
			await open(page, '/');
			await page.keyboard.press('Tab');
			await page.getByRole('link', { name: 'Skip to content' }).and(page.locator(':focus')).waitFor();
			await page.keyboard.press('Tab');
			await page.keyboard.press('Enter');
			await page.getByRole('dialog').waitFor();
			const link = page.getByRole('dialog').getByRole('link', { name: 'Providers' });
			for (let steps = 0; steps < 12 && !(await link.evaluate((one) => one === document.activeElement)); steps++) await page.keyboard.press('Tab');
			await page.keyboard.press('Enter');
			await page.waitForURL(/providers$/);
			await page.getByRole('dialog').waitFor({ state: 'detached' });
		},
		{ viewport: { width: 375, height: 800 } }
	));
