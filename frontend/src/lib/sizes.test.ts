import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const SOURCE = join(import.meta.dirname, '..');

it('keeps components below 100 lines and pages below 200', () => {
	const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.svelte'));
	expect(files.length).toBeGreaterThan(50);
	const long = files.filter((path) => readFileSync(join(SOURCE, path), 'utf8').split('\n').length > (path.includes('+') ? 200 : 100));
	expect(long).toEqual([]);
});
