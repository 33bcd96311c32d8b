// The credentials that the playground made. They are deleted when the page is left; what a crash
// left behind goes at a later visit, once it has expired. Only what is still as it was made is deleted:
// a credential that somebody changed is theirs.
import { api, authorization, ok, type Credential } from '$lib/api/client';
import { ApiError } from '$lib/api/error';
import { feed } from '$lib/feed.svelte';
import { session } from '$lib/session.svelte';

const NAME = 'llm-proxy.playground';

type Made = Pick<Credential, 'id' | 'name' | 'created_at' | 'updated_at' | 'expires_at'>;

function stored(): Made[] {
	try {
		const found: unknown = JSON.parse(localStorage.getItem(NAME) ?? '[]');
		return Array.isArray(found) ? (found as Made[]) : [];
	} catch {
		return [];
	}
}

function store(made: Made[]) {
	try {
		if (made.length > 0) localStorage.setItem(NAME, JSON.stringify(made));
		else localStorage.removeItem(NAME);
	} catch {
		// What is not remembered expires and stays in the list.
	}
}

/** Those of this page; other tabs have their own. */
const mine = new Map<number, Made>();

const forget = (id: number) => {
	mine.delete(id);
	store(stored().filter((one) => one.id !== id));
};

export function remember({ id, name, created_at, updated_at, expires_at }: Credential) {
	const made = { id, name, created_at, updated_at, expires_at };
	mine.set(id, made);
	store([...stored(), made]);
}

/** Deletes those of this page, without waiting: it may be on its way out. */
export function discard() {
	for (const { id } of mine.values()) {
		const asked = fetch(`/admin/v1/credentials/${id}`, { method: 'DELETE', headers: authorization(), keepalive: true });
		// What could not be deleted now is looked at again at a later visit.
		asked.then(({ ok, status }) => (ok || status === 404) && forget(id)).catch(() => undefined);
	}
	mine.clear();
}

const isOver = ({ expires_at }: Made) => expires_at !== null && Date.parse(expires_at) < Date.now();

/** Deletes those of earlier visits that have expired and are as they were made. */
export async function sweep(): Promise<void> {
	for (const made of stored().filter((one) => isOver(one) && !mine.has(one.id))) {
		const params = { path: { id: made.id } };
		try {
			const now = await ok(api.GET('/admin/v1/credentials/{id}', { params }));
			const isSame = (['name', 'created_at', 'updated_at', 'expires_at'] as const).every((field) => now[field] === made[field]);
			if (isSame) await ok(api.DELETE('/admin/v1/credentials/{id}', { params }));
		} catch (error) {
			// Another time, unless it is gone.
			if (!(error instanceof ApiError && error.status === 404)) return;
		}
		forget(made.id);
	}
}

feed.onChange((change) => {
	if (change?.entity === 'credential' && change.action !== 'create') forget(change.entity_id);
});
session.whenLeaving(discard);
addEventListener('pagehide', (event) => {
	// A page that may come back keeps its key.
	if (!event.persisted && session.isSignedIn) discard();
});
