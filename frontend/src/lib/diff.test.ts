import { expect, it } from 'vitest';
import { differences } from './diff';

it('tells only what differs, down to a single entry of a mapping', () => {
	const before = { weight: 1, model_mapping: { a: 'x', 'b.c': { mapped_model: 'y' } }, updated_at: '1' };
	const after = { weight: 2, model_mapping: { a: 'x', 'b.c': { mapped_model: 'z' } }, updated_at: '2' };
	expect(differences(before, after)).toEqual([
		{ path: 'weight', before: '1', after: '2' },
		{ path: 'model_mapping › b.c › mapped_model', before: 'y', after: 'z' }
	]);
});

it('tells all of a row that is new or gone', () => {
	expect(differences(null, { name: 'a', id: 1 })).toEqual([{ path: 'name', before: undefined, after: 'a' }]);
	expect(differences({ name: 'a' }, null)).toEqual([{ path: 'name', before: 'a', after: undefined }]);
});

it('tells an emptied mapping', () => {
	const found = differences({ m: { a: '1' } }, { m: {} });
	expect(found).toContainEqual({ path: 'm › a', before: '1', after: undefined });
});
