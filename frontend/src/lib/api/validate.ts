// Asks the server whether a key is its admin key.
import { base } from '$app/paths';

const PATIENCE_MS = 15_000;

/** Throws when the server does not say. */
export async function isAdminKey(key: string): Promise<boolean> {
	// A header cannot hold other characters, and no key has them.
	if (!/^[\x21-\x7e]+$/.test(key)) return false;
	const signal = AbortSignal.timeout(PATIENCE_MS);
	const headers = { authorization: `Bearer ${key}` };
	const response = await fetch(`${base}/v1/auth/validate`, { method: 'POST', headers, signal }).catch(() => undefined);
	if (!response) throw new Error('The server cannot be reached.');
	if (!response.ok && response.status !== 401) throw new Error(`The server answered ${response.status}.`);
	const answer = (await response.json().catch(() => undefined)) as { valid?: boolean } | undefined;
	if (typeof answer?.valid !== 'boolean') throw new Error('The answer is not that of llm-proxy.');
	return answer.valid;
}
