// Fails when any page needs more script and style at its first load than the budget.
// What is imported only when it is needed (charts, markdown) does not count.
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const BUDGET = 150_000;
const root = new URL('..', import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(join(root, '.svelte-kit/output/client/.vite/manifest.json'), 'utf8'));

function size(file) {
	const path = join(root, 'build', file);
	return statSync(existsSync(`${path}.br`) ? `${path}.br` : path).size;
}

/** Files that must be there before `key` runs. */
function needed(key, files = new Set(), seen = new Set()) {
	if (seen.has(key)) return files;
	seen.add(key);
	const chunk = manifest[key];
	files.add(chunk.file);
	for (const style of chunk.css ?? []) files.add(style);
	for (const next of chunk.imports ?? []) needed(next, files, seen);
	return files;
}

const keys = Object.keys(manifest);
const entries = keys.filter((key) => /entry\/(start|app)\.js$|client\/entry\.js$|generated\/client-optimized\/app\.js$/.test(key));
const nodes = keys.filter((key) => /generated\/client-optimized\/nodes\/\d+\.js$/.test(key));
if (entries.length < 2 || nodes.length < 3) throw new Error(`cannot find the entries of the build among ${keys.join(', ')}`);
const layouts = nodes.filter((key) => (readFileSync(join(root, key), 'utf8').includes('+layout')));
const base = new Set();
for (const key of [...entries, ...layouts]) needed(key, base);

const rows = nodes.filter((key) => !layouts.includes(key)).map((key) => {
	const page = /routes\/(.*)\+(page|error)/.exec(readFileSync(join(root, key), 'utf8'))?.[1] ?? key;
	const files = needed(key, new Set(base));
	return { page: page || '/', bytes: [...files].reduce((sum, file) => sum + size(file), 0), files: files.size };
});
rows.sort((a, b) => b.bytes - a.bytes);
for (const { page, bytes, files } of rows) console.log(`${(bytes / 1000).toFixed(1).padStart(7)} kB  ${String(files).padStart(3)} files  ${page}`);
const all = readdirSync(join(root, 'build'), { recursive: true }).filter((name) => /\.(js|css)$/.test(name));
console.log(`${(all.reduce((sum, file) => sum + size(file), 0) / 1000).toFixed(1).padStart(7)} kB  everything`);
if (rows[0].bytes > BUDGET) {
	console.error(`the first load of ${rows[0].page} takes ${rows[0].bytes} bytes, more than ${BUDGET}`);
	process.exit(1);
}
