import { describe, expect, it } from 'vitest';
import { compiled, find, kindOf, newRow, problemsOf, toMapping, toRows } from './mapping';

const rows = (mapping: Record<string, string>) => toRows(mapping);

describe('a mapping', () => {
	it('tells exact names, wildcards and regular expressions apart', () => {
		expect(kindOf('gpt-3.5-turbo')).toBe('exact');
		expect(kindOf('gpt-*')).toBe('wildcard');
		expect(kindOf('gpt-.*')).toBe('regex');
		expect(kindOf('(a|b)')).toBe('regex');
	});

	it('prefers the exact name, then the pattern with most literal characters', () => {
		const mapping = rows({ '*': 'any', 'gpt-*': 'g-*', 'gpt-4': 'four' });
		expect(find(mapping, 'gpt-4')).toEqual({ key: 'gpt-4', kind: 'exact', mapped: 'four' });
		expect(find(mapping, 'gpt-5')).toEqual({ key: 'gpt-*', kind: 'wildcard', mapped: 'g-5' });
		expect(find(mapping, 'x')?.mapped).toBe('any');
	});

	it('takes dots of a wildcard literally and matches the whole name', () => {
		expect(find(rows({ 'a.*b*': 'x' }), 'a.1b')).toBeDefined();
		expect(find(rows({ 'gpt-3.5*': 'x' }), 'gpt-325')).toBeUndefined();
		expect(find(rows({ '(a|b)c': 'x' }), 'acd')).toBeUndefined();
	});

	it('puts in what a regular expression captured', () => {
		expect(find(rows({ 'claude-(\\w+)-(\\d+)': '$2-$1-$$' }), 'claude-opus-4')?.mapped).toBe('4-opus-$');
		expect(find(rows({ '(?<size>big|small)': 'm-${size}' }), 'big')?.mapped).toBe('m-big');
	});

	it('goes to rows and back unchanged', () => {
		const mapping = { a: 'b', 'c*': { mapped_model: 'd*', max_tokens: 5, supports_vision: true } };
		expect(toMapping(toRows(mapping))).toEqual(mapping);
	});

	it('says what is wrong with rows', () => {
		const told = (...rows: [string, string][]) => [...problemsOf(rows.map(([key, target]) => newRow(key, target))).values()].join(' ');
		expect(told(['a', 'b'], ['a', 'c'])).toMatch(/twice.*twice/);
		expect(told(['a(', 'b'])).toContain('regular');
		expect(told(['a(?=b)', 'b'])).toContain('regular');
		expect(told(['a', ''])).toContain('missing');
		expect(told(['', ''], ['', ''])).toBe('');
	});

	it('refuses no pattern that the server takes', () => {
		for (const key of ['(?i)gpt-(.+)', '(?P<size>big|small)', 'a\\-b\\_(.+)', '[[:alpha:]]+', '(?i:x).*', '\\Ax\\z', '\\pL+', 'a{2}']) {
			expect(compiled(key), key).not.toBe('wrong');
			expect(problemsOf([newRow(key, 'x')]).size, key).toBe(0);
		}
		expect(find([newRow('(?i)gpt-(.+)', 'g-$1')], 'GPT-X')?.mapped).toBe('g-X');
		expect(find([newRow('(?P<size>big|small)', 'm-${size}')], 'big')?.mapped).toBe('m-big');
		expect(find([newRow('[[:alpha:]]+', 'm')], 'big')).toEqual({ key: '[[:alpha:]]+', kind: 'regex', mapped: undefined });
	});

	it('puts nothing in for what took no part', () => {
		expect(find([newRow('a(b)?(c)', 'x$1-$2')], 'ac')?.mapped).toBe('x-c');
	});

	it('shows what plain SQL wrote, whatever it is', () => {
		const rows = toRows({ a: 5, b: null, c: { max_tokens: 1 } } as never);
		expect(rows.map((row) => row.target)).toEqual(['', '', '']);
		expect(problemsOf(rows).size).toBe(3);
	});

	it('is checked in no time with thousands of rows', () => {
		const many = Array.from({ length: 20_000 }, (_, index) => newRow(`model-${index}`, 'x'));
		const begun = performance.now();
		expect(problemsOf(many).size).toBe(0);
		expect(performance.now() - begun).toBeLessThan(2000);
	});
});
