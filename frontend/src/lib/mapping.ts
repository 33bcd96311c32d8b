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
	['max_tokens', 'Most tokens'],
	['max_input_tokens', 'Most input tokens'],
	['max_output_tokens', 'Most output tokens'],
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
		const { mapped_model, ...details } = value;
		return newRow(key, mapped_model, details);
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

/** What is wrong with a row, among the others. */
export function problemOf(row: Row, rows: Row[]): string {
	const key = row.key.trim();
	if (!key && !row.target.trim()) return '';
	if (!key) return 'The name that clients use is missing.';
	if (!row.target.trim()) return 'The name at the provider is missing.';
	if (rows.some((other) => other.id !== row.id && other.key.trim() === key)) return 'This name is there twice.';
	if (kindOf(key) === 'regex' && !compiled(key)) return 'This is no valid regular expression.';
	return '';
}

function compiled(key: string): RegExp | undefined {
	try {
		const source = kindOf(key) === 'wildcard' ? key.split('*').map(escaped).join('(.*)') : key;
		return new RegExp(`^(?:${source})$`, 'su');
	} catch {
		return undefined;
	}
}

const escaped = (text: string) => text.replace(/[.+?^${}()|[\]\\/]/g, '\\$&');

/** How many characters of a pattern stand for themselves: the more, the earlier it is tried. */
function literals(key: string): number {
	if (kindOf(key) === 'wildcard') return key.replaceAll('*', '').length;
	const bare = key.replace(/\[[^\]]*\]|\{[^}]*\}|\\[a-zA-Z]|[.^$|()*+?]/g, '');
	return bare.replace(/\\(.)/g, '$1').length;
}

function substituted(target: string, kind: MatchKind, match: RegExpExecArray): string {
	if (kind === 'wildcard') {
		let next = 0;
		return target.replaceAll('*', () => match[++next] ?? '');
	}
	return target.replace(/\$(\$|\d|\{(\w+)\})/g, (whole, what: string, name: string | undefined) => {
		if (what === '$') return '$';
		return (name ? (match.groups?.[name] ?? match[Number(name)]) : match[Number(what)]) ?? whole;
	});
}

export interface Match {
	key: string;
	kind: MatchKind;
	mapped: string;
}

/** The row that a model's name meets, and what it becomes. */
export function find(rows: Row[], model: string): Match | undefined {
	const filled = rows.filter((row) => row.key.trim() && row.target.trim());
	const exact = filled.find((row) => kindOf(row.key.trim()) === 'exact' && row.key.trim() === model);
	if (exact) return { key: model, kind: 'exact', mapped: exact.target.trim() };
	const patterns = filled.map((row) => ({ key: row.key.trim(), target: row.target.trim(), kind: kindOf(row.key.trim()) }));
	patterns.sort((a, b) => literals(b.key) - literals(a.key) || (a.key < b.key ? -1 : 1));
	for (const { key, target, kind } of patterns.filter((pattern) => pattern.kind !== 'exact')) {
		const match = compiled(key)?.exec(model);
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
