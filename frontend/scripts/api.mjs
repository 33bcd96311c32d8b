// Makes openapi.json from the server's own description, and schema.ts from it.
// `npm run api` writes both; `--check` fails when one of them is stale.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import openapiTS, { astToString } from 'openapi-typescript';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
export const DOCUMENT = here('../openapi.json');
export const SCHEMA = here('../src/lib/api/schema.ts');
const HEAD = '// Made from openapi.json by `npm run api`. Do not edit.\n\n';

/** The built server, when there is one. */
export function server() {
	const target = process.env.CARGO_TARGET_DIR ?? here('../../target');
	const found = [process.env.LLM_PROXY_BIN, `${target}/debug/llm-proxy`, `${target}/release/llm-proxy`];
	return found.find((path) => path && existsSync(path));
}

export function described(binary) {
	return execFileSync(binary, ['openapi'], { encoding: 'utf8', maxBuffer: 1 << 26 }).trimEnd() + '\n';
}

export async function schemaOf(document) {
	// What has a default may be left out of a request.
	const ast = await openapiTS(JSON.parse(document), { defaultNonNullable: false });
	return HEAD + astToString(ast);
}

async function main() {
	const binary = server();
	const isCheck = process.argv.includes('--check');
	if (isCheck && !binary) throw new Error('no llm-proxy binary: run `cargo build`, or set LLM_PROXY_BIN');
	const document = binary ? described(binary) : readFileSync(DOCUMENT, 'utf8');
	const schema = await schemaOf(document);
	if (!isCheck) {
		writeFileSync(DOCUMENT, document);
		writeFileSync(SCHEMA, schema);
		return;
	}
	const stale = [[DOCUMENT, document], [SCHEMA, schema]].filter(([path, text]) => readFileSync(path, 'utf8') !== text);
	if (stale.length > 0) throw new Error(`stale, run \`npm run api\`: ${stale.map(([path]) => path).join(', ')}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	main().catch((error) => {
		console.error(error.message);
		process.exit(1);
	});
}
