// Where two states of a row differ.
export interface Difference {
	path: string;
	before: string | undefined;
	after: string | undefined;
}

/** What changes with every write and says nothing. */
const SILENT = new Set(['updated_at', 'created_at', 'id']);

function leaves(value: unknown, path: string, found: Map<string, string>) {
	const isObject = value !== null && typeof value === 'object' && !Array.isArray(value);
	const entries = isObject ? Object.entries(value) : [];
	if (entries.length === 0) {
		found.set(path, typeof value === 'string' ? value : JSON.stringify(value));
		return;
	}
	for (const [name, inner] of entries) leaves(inner, path ? `${path} › ${name}` : name, found);
}

function flat(row: unknown): Map<string, string> {
	const found = new Map<string, string>();
	if (row === null || typeof row !== 'object') return found;
	for (const [name, value] of Object.entries(row)) if (!SILENT.has(name)) leaves(value, name, found);
	return found;
}

export function differences(before: unknown, after: unknown): Difference[] {
	const [old, now] = [flat(before), flat(after)];
	const paths = [...new Set([...old.keys(), ...now.keys()])];
	const all = paths.map((path) => ({ path, before: old.get(path), after: now.get(path) }));
	return all.filter((one) => one.before !== one.after);
}
