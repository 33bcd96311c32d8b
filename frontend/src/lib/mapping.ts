// Rules of model mappings, as the server has them: for what is not saved yet. The server decides.
export type MatchKind = 'exact' | 'wildcard' | 'regex';
export type Details = Record<string, number | boolean | string>;
export type Mapping = Record<string, string | ({ mapped_model: string } & Details)>;

export interface Row {
	id: number;
	key: string;
	target: string;
	details: Details;
}

export const AMOUNTS = [
	['max_tokens', 'Maximum tokens'],
	['max_input_tokens', 'Maximum input tokens'],
	['max_output_tokens', 'Maximum output tokens'],
	['input_cost_per_1k_tokens', 'Input, $ per 1k tokens'],
	['output_cost_per_1k_tokens', 'Output, $ per 1k tokens'],
	['cache_read_cost_per_1k_tokens', 'Cache read, $ per 1k tokens'],
	['cache_write_cost_per_1k_tokens', 'Cache write, $ per 1k tokens'],
	['reasoning_cost_per_1k_tokens', 'Reasoning, $ per 1k tokens']
] as const;

export const ABILITIES = [
	['supports_vision', 'Images'],
	['supports_function_calling', 'Tools'],
	['supports_streaming', 'Streaming'],
	['supports_response_schema', 'Response schema'],
	['supports_reasoning', 'Reasoning'],
	['supports_computer_use', 'Computer use'],
	['supports_pdf_input', 'PDF input']
] as const;

export function kindOf(key: string): MatchKind {
	if (key.includes('.*') || key.includes('.+') || /[\^$|()[\]{}\\]/.test(key)) return 'regex';
	return key.includes('*') ? 'wildcard' : 'exact';
}

let made = 0;
export function newRow(key = '', target = '', details: Details = {}): Row {
	return { id: ++made, key, target, details };
}

export function toRows(mapping: Mapping): Row[] {
	return Object.entries(mapping).map(([key, value]) => {
		if (typeof value === 'string') return newRow(key, value);
		// Plain SQL may have written anything.
		const { mapped_model, ...details } = Object(value) as { mapped_model?: unknown } & Details;
		return newRow(key, typeof mapped_model === 'string' ? mapped_model : '', details);
	});
}

export function toMapping(rows: Row[]): Mapping {
	const filled = rows.filter((row) => row.key.trim() !== '' || row.target.trim() !== '');
	return Object.fromEntries(
		filled.map(({ key, target, details }) => {
			const isPlain = Object.keys(details).length === 0;
			return [key.trim(), isPlain ? target.trim() : { mapped_model: target.trim(), ...details }];
		})
	);
}

/** What is wrong with rows, by their ids. */
export function problemsOf(rows: Row[]): Map<number, string> {
	const times = new Map<string, number>();
	for (const row of rows) times.set(row.key.trim(), (times.get(row.key.trim()) ?? 0) + 1);
	const found = new Map<number, string>();
	for (const row of rows) {
		const [key, target] = [row.key.trim(), row.target.trim()];
		const problem = key || target ? problemOf(key, target, times.get(key) ?? 0) : '';
		if (problem) found.set(row.id, problem);
	}
	return found;
}

function problemOf(key: string, target: string, times: number): string {
	if (!key) return 'The name that clients use is missing.';
	if (!target) return 'The name at the provider is missing.';
	if (times > 1) return 'This name is used twice.';
	return compiled(key) === 'wrong' ? 'This is not a valid regular expression.' : '';
}

/** What the server's syntax (Rust's crate regex) has and a browser's has not. */
const THEIRS = /\(\?[a-zA-Z]*-?[a-zA-Z]+[:)]|\[\[:|&&|~~|\[[^\]]*--|\\[AzpPxuUQ]|\(\?P</;
/** The other way round: looking around and back-references. */
const OURS = /\(\?<?[=!]|\\[1-9]|\\k</;

const known = new Map<string, RegExp | 'wrong' | 'foreign'>();

/** A key as the browser's regular expression; `foreign` when only the server can tell. */
export function compiled(key: string): RegExp | 'wrong' | 'foreign' {
	const found = known.get(key) ?? (kindOf(key) === 'regex' ? regex(key) : wildcard(key));
	known.set(key, found);
	return found;
}

const wildcard = (key: string) => new RegExp(`^${key.split('*').map(escaped).join('(.*)')}$`, 's');

function regex(key: string): RegExp | 'wrong' | 'foreign' {
	if (OURS.test(key)) return 'wrong';
	const [, options = '', rest = key] = /^\(\?([ims]+)\)(.*)$/s.exec(key) ?? [];
	const source = rest.replaceAll('(?P<', '(?<');
	// Without `u` a browser takes any escaped sign for itself, as the server does with most.
	for (const flags of ['su', 's']) {
		try {
			new RegExp(source, flags);
			return THEIRS.test(source) ? 'foreign' : new RegExp(`^(?:${source})$`, [...new Set(flags + options)].join(''));
		} catch {
			// The next is less strict.
		}
	}
	return THEIRS.test(source) ? 'foreign' : 'wrong';
}

const escaped = (text: string) => text.replace(/[.+?^${}()|[\]\\/]/g, '\\$&');

/** How many characters of a pattern stand for themselves: the more, the earlier it is tried. */
function literals(key: string): number {
	if (kindOf(key) === 'wildcard') return [...key.replaceAll('*', '')].length;
	const bare = key.replace(/\(\?(P?<\w+>|[a-zA-Z-]*[:)])/g, '(').replace(/\[[^\]]*\]|\{[^}]*\}|\\[a-zA-Z]|[.^$|()*+?]/g, '');
	return [...bare.replace(/\\(.)/g, '$1')].length;
}

function substituted(target: string, kind: MatchKind, match: RegExpExecArray): string {
	if (kind === 'wildcard') {
		let next = 0;
		return target.replaceAll('*', () => match[++next] ?? '');
	}
	return target.replace(/\$(?:(\$)|([1-9])|\{(\w+)\})/g, (_whole, dollar?: string, index?: string, name?: string) => {
		if (dollar) return '$';
		// A group that took no part stands for nothing.
		return (name ? match.groups?.[name] : match[Number(index)]) ?? '';
	});
}

export interface Match {
	key: string;
	kind: MatchKind;
	/** Undefined when only the server can tell whether the key matches, and what comes of it. */
	mapped: string | undefined;
}

/** The row that a model's name meets, and what it becomes. */
export function find(rows: Row[], model: string): Match | undefined {
	const filled = rows.filter((row) => row.key.trim() && row.target.trim());
	const exact = filled.find((row) => kindOf(row.key.trim()) === 'exact' && row.key.trim() === model);
	if (exact) return { key: model, kind: 'exact', mapped: exact.target.trim() };
	const patterns = filled.map((row) => ({ key: row.key.trim(), target: row.target.trim(), kind: kindOf(row.key.trim()) }));
	patterns.sort((a, b) => literals(b.key) - literals(a.key) || (a.key < b.key ? -1 : 1));
	for (const { key, target, kind } of patterns.filter((pattern) => pattern.kind !== 'exact')) {
		const pattern = compiled(key);
		if (pattern === 'foreign') return { key, kind, mapped: undefined };
		const match = pattern === 'wrong' ? null : pattern.exec(model);
		if (match) return { key, kind, mapped: substituted(target, kind, match) };
	}
	return undefined;
}

/** What the server asks for when no model is named: exact keys, else what patterns lead to. */
export function probedModels(mapping: Mapping): string[] {
	const entries = Object.entries(mapping);
	const exact = entries.map(([key]) => key).filter((key) => kindOf(key) === 'exact');
	const targets = entries.map(([, value]) => (typeof value === 'string' ? value : value.mapped_model));
	const literal = targets.filter((target) => !/[*$]/.test(target));
	return [...new Set(exact.length > 0 ? exact : literal)].sort();
}
