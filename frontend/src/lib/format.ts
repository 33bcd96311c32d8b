// Numbers, times and amounts for people.
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

export const NONE = '–';

export function count(value: number | null | undefined): string {
	if (value === null || value === undefined) return NONE;
	return Math.abs(value) >= 100_000 ? short.format(value) : whole.format(value);
}

export function share(part: number, all: number): string {
	if (all <= 0) return NONE;
	const percent = (part / all) * 100;
	return `${percent > 0 && percent < 9.95 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}

export function duration(ms: number | null | undefined): string {
	if (ms === null || ms === undefined) return NONE;
	if (ms < 1) return `${Number(ms.toFixed(2))} ms`;
	if (ms < 999.5) return `${ms < 10 ? Number(ms.toFixed(1)) : ms.toFixed(0)} ms`;
	if (ms < 59_950) return `${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)} s`;
	return age(Math.round(ms / 1000));
}

/** Seconds in the two largest units. */
export function age(secs: number): string {
	const units: [number, string][] = [
		[86_400, 'd'],
		[3600, 'h'],
		[60, 'min'],
		[1, 's']
	];
	const first = units.findIndex(([size]) => secs >= size);
	if (first < 0) return '0 s';
	let rest = Math.floor(secs);
	const parts = units.slice(first, first + 2).map(([size, name]) => {
		const many = Math.floor(rest / size);
		rest -= many * size;
		return many > 0 ? `${many} ${name}` : '';
	});
	return parts.filter(Boolean).join(' ');
}

/** Millionths of a dollar. */
export function cost(microusd: number | null | undefined): string {
	if (microusd === null || microusd === undefined) return NONE;
	const dollars = microusd / 1e6;
	if (dollars === 0) return '$0';
	return dollars >= 1 ? `$${dollars.toFixed(2)}` : `$${Number(dollars.toPrecision(3))}`;
}

const DATE: Intl.DateTimeFormatOptions = { year: 'numeric', month: 'short', day: 'numeric' };
const TIME: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };

/** The same, without the year when it is this one: for lists. */
export function briefly(at: string | number | Date): string {
	const date = new Date(at);
	const { year: _year, ...day } = DATE;
	return date.getFullYear() === new Date().getFullYear() ? date.toLocaleString('en', { ...day, ...TIME }) : when(at);
}

/** In the time zone of the browser. */
export function when(at: string | number | Date | null | undefined): string {
	if (at === null || at === undefined) return NONE;
	const date = new Date(at);
	return Number.isNaN(date.getTime()) ? NONE : date.toLocaleString('en', { ...DATE, ...TIME });
}

export function clock(at: string | number | Date): string {
	return new Date(at).toLocaleTimeString('en', TIME);
}

/** A time as `<input type="datetime-local">` has it. */
export function toLocalInput(at: string | null): string {
	if (!at) return '';
	const date = new Date(at);
	if (Number.isNaN(date.getTime())) return '';
	return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export function fromLocalInput(text: string): string | null {
	const date = new Date(text);
	return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
