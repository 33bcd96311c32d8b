import { describe, expect, it } from 'vitest';
import { find, kindOf, newRow, problemOf, toMapping, toRows } from './mapping';

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

	it('says what is wrong with a row', () => {
		const twice = [newRow('a', 'b'), newRow('a', 'c')];
		expect(problemOf(twice[0]!, twice)).toContain('twice');
		expect(problemOf(newRow('a(', 'b'), [])).toContain('regular');
		expect(problemOf(newRow('a', ''), [])).toContain('missing');
		expect(problemOf(newRow(), [])).toBe('');
	});
});
