import { expect, it } from 'vitest';
import { briefly, count, duration, fromLocalInput, share, toLocalInput, when } from './format';

it('tells durations in the unit that fits, without empty decimals', () => {
	expect([0, 0.56, 1, 2.5, 34, 999.7, 1500, 9999, 59_999, 3_700_000].map(duration)).toEqual([
		'0 ms',
		'0.56 ms',
		'1 ms',
		'2.5 ms',
		'34 ms',
		'1.00 s',
		'1.50 s',
		'10.0 s',
		'1 min',
		'1 h 1 min'
	]);
});

it('leaves the year out of lists when it is this one', () => {
	const now = new Date();
	expect(briefly(now)).not.toContain(String(now.getFullYear()));
	expect(briefly('2001-02-03T12:00:00')).toContain('2001');
});

it('begins a day at nought, not at 24', () => {
	expect(when(new Date(2026, 0, 5, 0, 3, 9))).toContain('00:03:09');
});

it('takes what is no time for none', () => {
	expect(when('nonsense')).toBe('–');
	expect(toLocalInput('nonsense')).toBe('');
	// A year of five digits, as a slip of the finger makes it.
	expect(fromLocalInput('20255-01-01T00:00')).toBeNull();
	expect(toLocalInput(fromLocalInput('2030-05-06T07:08'))).toBe('2030-05-06T07:08');
});

it('shortens what is long', () => {
	expect([count(null), count(12_345), count(1_234_567), share(1, 3), share(0, 0)]).toEqual(['–', '12,345', '1.2M', '33 %', '–']);
});
