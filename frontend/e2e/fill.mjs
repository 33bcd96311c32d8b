// Fills the server's database with rows, by plain SQL; the server sees them at its next poll.
import { execFileSync } from 'node:child_process';
import { admin, eventually } from './support.mjs';

/** Plain SQL beside the server. */
export const sql = (text) => execFileSync('python3', ['-c', SCRIPT, process.env.LLM_PROXY_DATABASE], { input: text });

const SCRIPT = 'import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=30).executescript(sys.stdin.read())';

const statements = (providers, credentials, base) => `
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${providers})
INSERT INTO providers (provider_key, provider_type, api_base, api_key, model_mapping, weight, provider_params, is_enabled, created_at, updated_at)
SELECT 'many-' || i, 'openai', '${base}', 'sk-mock-of-the-provider', '{"many-' || i || '":"mock","shared-' || (i % 50) || '-*":"mock"}', 1, '{}', 1, 1700000000000, 1700000000000 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${credentials})
INSERT INTO credentials (credential_key, name, allowed_models, rate_limit, is_enabled, created_at, updated_at)
SELECT printf('%064x', i), 'client-' || i, '[]', i % 100, 1, 1700000000000, 1700000000000 FROM n;
COMMIT;`;

/** Each row is a version of its own in the history, which takes the server a while. */
const PATIENCE_MS = 300_000;

export async function fill(providers, credentials, base) {
	const isFull = async () => (await admin('GET', '/config/version')).credentials_count >= credentials;
	if (await isFull()) return;
	sql(statements(providers, credentials, base));
	await eventually(isFull, PATIENCE_MS);
}
