import { expect, it } from 'vitest';
import { probedModels } from './mapping';
import { pooled } from './pooled';

it('asks for exact names, else for what patterns lead to', () => {
	expect(probedModels({ b: 'x', a: { mapped_model: 'y' }, 'c-*': 'z' })).toEqual(['a', 'b']);
	expect(probedModels({ 'c-*': 'z', 'd-(.+)': '$1', 'e-*': { mapped_model: 'z' } })).toEqual(['z']);
	expect(probedModels({ 'c-*': 'c-*' })).toEqual([]);
});

it('works on so many at a time and on all of them', async () => {
	let [running, most] = [0, 0];
	const done: number[] = [];
	await pooled([1, 2, 3, 4, 5], 2, async (one) => {
		most = Math.max(most, ++running);
		await Promise.resolve();
		running--;
		done.push(one);
	});
	expect(most).toBe(2);
	expect(done).toHaveLength(5);
});
